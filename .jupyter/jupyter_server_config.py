"""What JupyterLab is told by `make lab`, beside your own settings: this folder is in JUPYTER_CONFIG_PATH there."""

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager


class KernelsAtTheRoot(AsyncMappingKernelManager):
    """Kernels start where the server does, not beside their notebooks, so that runs/... is the shell's runs/..."""

    def cwd_for_path(self, path, **_):
        return self.root_dir


c = get_config()
c.ServerApp.kernel_manager_class = KernelsAtTheRoot
c.LabApp.default_url = "/lab/tree/notebooks/00_start_here.ipynb"
c.ContentsManager.hide_globs.append("[0-9][0-9]_*.py")  # each is listed once, as the .ipynb that is saved with it
