"""How widgets look on screens of any size, with a keyboard, and to who listens to them."""

from html import escape

import ipywidgets as ipw

CLASS = "retina-nb"
PICTURE = "retina-nb-picture"
_WORDS = "retina-nb-words"

# Pictures stay in view while one drags below them, which they cannot within boxes that scroll. On small screens they
# leave room for what is dragged.
_STYLE = f"""
.{CLASS}, .{CLASS} .widget-vbox, .{CLASS} .widget-hbox {{overflow: visible}}
.jp-OutputArea:has(.{CLASS}), .jp-OutputArea-child:has(.{CLASS}), .jp-OutputArea-output:has(.{CLASS}) {{
  overflow: visible}}
.{CLASS} .{PICTURE} {{position: sticky; top: 0; z-index: 2; background: var(--jp-layout-color0, white)}}
.{CLASS} .{PICTURE} img {{max-height: 75vh; width: auto}}
.{CLASS} .{_WORDS} {{position: absolute; top: 0; left: 0; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%)}}
.{CLASS} .widget-hslider, .{CLASS} .widget-dropdown, .{CLASS} .widget-text {{max-width: 100%}}
.{CLASS} :focus-visible {{outline: 2px solid var(--jp-brand-color1, #1976d2); outline-offset: 2px}}
.{CLASS} .noUi-handle:focus {{outline: 2px solid var(--jp-brand-color1, #1976d2); outline-offset: 1px}}
.{CLASS} [role=alert] {{color: var(--jp-error-color0, #b00020); line-height: 1.4; white-space: normal}}
"""

# Neither the handle of a slider nor a picture can be given a name from Python. Without a script, as in a page that
# forbids them, all else is as it is.
_SCRIPT = f"""
const root = this.closest('.{CLASS}');
const name = () => {{
  for (const one of root.querySelectorAll('.widget-slider, .widget-hslider')) {{
    const label = one.querySelector('.widget-label'), shown = one.querySelector('.widget-readout');
    for (const handle of one.querySelectorAll('.noUi-handle')) {{
      handle.setAttribute('aria-label', label.textContent);
      if (shown) handle.setAttribute('aria-valuetext', shown.textContent);
    }}
    if (shown) shown.setAttribute('aria-label', label.textContent);
  }}
  const words = root.querySelector('.{_WORDS}');
  root.querySelectorAll('img').forEach((one, number) => one.alt = number || !words ? '' : words.textContent);
}};
new MutationObserver(name).observe(root, {{childList: true, subtree: true, characterData: true}});
name();
"""


def look() -> ipw.HTML:
    """What is put into a widget of the class `CLASS`, unseen, for its look."""
    script = escape(" ".join(_SCRIPT.split()), quote=True)
    return ipw.HTML(f'<style onload="{script}">{_STYLE}</style>', layout={"display": "none"})


def said(text: str) -> str:
    """What is read aloud of a picture and not seen, as HTML; the picture's alternative text is made of it."""
    return f'<span class="{_WORDS}">{escape(text)}</span>'


def alert(sentence: str) -> str:
    """A sentence that says what is wrong, as HTML."""
    return f'<div role="alert">{escape(sentence)}</div>'


def close_all(widget: ipw.Widget) -> None:
    """Close what a widget is made of, with its layouts and styles: its own close leaves them to live on."""
    for one in (*getattr(widget, "children", ()), getattr(widget, "layout", None), getattr(widget, "style", None)):
        if isinstance(one, ipw.Widget):
            close_all(one)
            one.close()
