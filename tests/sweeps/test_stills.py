from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from retina_nb.sweeps.stills import keep_pictures

WIDGET = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "Live(...)"}


def test_widgets_leave_their_pictures():
    bar, live = new_output("display_data", dict(WIDGET)), new_output("execute_result", WIDGET | {"image/png": "abc"})
    others = [new_output("stream", text="3"), new_output("display_data", {"image/png": "d", "text/plain": "Figure"})]
    notebook = new_notebook(
        cells=[new_markdown_cell("# A"), new_code_cell("1", outputs=[bar, live, *others]), new_code_cell("2")],
        metadata={"widgets": {"state": {}}, "language_info": {"name": "python"}},
    )
    keep_pictures(notebook)
    assert notebook.metadata.keys() == {"language_info"}
    picture, *rest = notebook.cells[1].outputs
    assert picture.data == {"image/png": "abc", "text/plain": "Live(...)"}
    assert rest == others
