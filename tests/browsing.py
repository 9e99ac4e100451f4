"""What people do in a browser, and what they see."""

from contextlib import contextmanager

PICTURE = "image => fetch(image.src).then(got => got.bytes()).then(bytes => Array.from(bytes))"


# What shows a scroll bar within some elements, and how much is beyond it.
SCROLLING = """roots => roots.flatMap(root => [root, ...root.querySelectorAll('*')]).filter(one => {
  const {overflowX, overflowY} = getComputedStyle(one), bar = of => of == 'auto' || of == 'scroll';
  return one.clientHeight && !one.matches('pre, select, textarea') &&
    (bar(overflowY) && one.scrollHeight > one.clientHeight || bar(overflowX) && one.scrollWidth > one.clientWidth);
}).map(one => `${one.className} ${one.scrollWidth}x${one.scrollHeight} in ${one.clientWidth}x${one.clientHeight}`)"""


@contextmanager
def window(browser, **options):
    """A window of its own with options of playwright's contexts; see `page`."""
    context = browser.new_context(**options)
    opened = context.new_page()
    opened.elsewhere = []

    def stay_here(route):
        if route.request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            route.continue_()
        else:
            opened.elsewhere.append(route.request.url)
            route.abort()

    context.route("**/*", stay_here)
    opened.set_default_timeout(180_000)  # machines that test are busy
    yield opened
    context.close()


def explorer_of(page):
    """The widget `explore_twin`."""
    return page.locator(".retina-nb", has=page.locator("option", has_text="moving bar")).first


def handle(widget, label):
    """What is dragged of a slider."""
    return widget.locator(f'.widget-hslider:has(> .widget-label:text-is("{label}")) .noUi-handle')


def value(one):
    return float(one.get_attribute("aria-valuenow"))


def drag(page, one, *moves):
    """Drag the handle of a slider by so many pixels to the right of where it was, one after the other."""
    one.scroll_into_view_if_needed()
    box = one.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for move in moves:
        page.mouse.move(x + move, y, steps=8)
    page.mouse.up()


def picture(widget):
    """The bytes of what is drawn now."""
    return bytes(widget.locator("img").first.evaluate(PICTURE))


def wait_until(page, happened, seconds=30):
    """Wait for what comes from the kernel; returns whether it came."""
    for _ in range(seconds * 10):
        if happened():
            return True
        page.wait_for_timeout(100)
    return False
