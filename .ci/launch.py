"""Where a notebook can be opened without installing anything: in Colab and on Binder, for a repository on GitHub.

What must be known is the address of the repository: `Repository` in [project.urls] of pyproject.toml. While there is
none, nothing is offered.
"""

import re
import tomllib
from pathlib import Path

BRANCH = "main"


def github_repository(pyproject: Path) -> str | None:
    """OWNER/NAME of the project's repository, or None if it is nowhere or not on GitHub."""
    urls = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"].get("urls", {})
    found = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?", urls.get("Repository", ""))
    return found[1] if found else None


def launchers(repository: str, notebook: str) -> dict[str, str]:
    """By the name of the service, the address that opens a notebook, given by its path in OWNER/NAME."""
    return {
        "Colab": f"https://colab.research.google.com/github/{repository}/blob/{BRANCH}/{notebook}",
        "Binder": f"https://mybinder.org/v2/gh/{repository}/{BRANCH}?urlpath=lab/tree/{notebook}",
    }


def first_cell(repository: str) -> str:
    """What must be run on Colab first; on Binder, .binder/postBuild has done it."""
    return f"%pip install git+https://github.com/{repository}"
