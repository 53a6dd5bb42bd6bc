"""A browser on the staff's pages: it keeps cookies, follows redirections and sends the forms that it was shown."""

import re

import httpx
from shop import DEMO_PASSWORD, Shop


def browse(shop: Shop) -> httpx.Client:
    return httpx.Client(base_url=shop.url, timeout=30, follow_redirects=True)


def submit(browser: httpx.Client, path: str, **fields: object) -> httpx.Response:
    """Opens a page and sends its form."""
    page = browser.get(path)
    assert page.status_code == 200, page.text
    token = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[-1]
    sender = {"Referer": str(page.url), "Origin": str(browser.base_url).rstrip("/")}
    return browser.post(path, data={"csrfmiddlewaretoken": token, **fields}, headers=sender)


def log_in(browser: httpx.Client, name: str) -> httpx.Response:
    """``buyer``, ``seller`` or ``staff``."""
    return submit(browser, "/admin/login/?next=/admin/", username=f"{name}@agora.example", password=DEMO_PASSWORD)
