"""``python check_links.py SITE``: whatever the pages of a site link to or show is in the site, pictures have words."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page links to, what it loads, and the places in it that can be linked to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.mute: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and "href" in given:
            self.loads.append(given["href"])
        elif "src" in given:
            self.loads.append(given["src"])
        if tag == "img" and not given.get("alt"):
            self.mute.append(given.get("src", ""))


def broken_links(site: Path) -> list[str]:
    """A complaint for each link to a page or place that is not there, or picture, style or script not in the site."""
    pages = {path: Page(path) for path in sorted(site.resolve().rglob("*.html")) if "_static" not in path.parts}
    complaints = []
    for path, page in pages.items():
        for link in page.links + page.loads:
            parts = urlsplit(link)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if parts.scheme == "data" or (parts.scheme and link in page.links):
                continue
            if parts.scheme or parts.netloc:
                complaints.append(f"{path.name} loads {link} from elsewhere")
            elif not target.is_file():
                complaints.append(f"{path.name}: there is no {link}")
            elif target in pages and parts.fragment and unquote(parts.fragment) not in pages[target].places:
                complaints.append(f"{path.name}: there is no such place as {link}")
        complaints += [f"{path.name}: the picture {name[:80]} has no words for who cannot see it" for name in page.mute]
    return complaints


if __name__ == "__main__":
    sys.exit("\n".join(broken_links(Path(sys.argv[1]))) or 0)
