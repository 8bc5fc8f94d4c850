#!/usr/bin/env python3
"""Open the pages in Chromium: no console message, no request but the page itself, nothing wider than the screen, tables that
sort by mouse and by keyboard, and the same page without its script.

    test_browser.py PROGRAM GALLERY MODEL [PICTURES]    PICTURES: a folder that keeps the screenshots

Skipped (status 77) where there is no Chromium: tools/install-deps browser.
"""
import sys
import tempfile
from pathlib import Path

import devtools
import pages

VIEWS = {
    'light': {},
    'dark': {'dark': True},
    'narrow': {'width': 400, 'mobile': True},
    'paper': {'paper': True, 'width': 760},
}
COLUMN = """[...document.querySelector('table.sortable').tBodies[0].rows].map(r => r.cells[%d].textContent)"""
FAILURES = []


def expect(good, what):
    if not good:
        FAILURES.append(what)
        print(what)


def contrast(browser):
    """The least contrast of text with its ground, of all elements that hold text themselves (WCAG 2.2, 1.4.3)."""
    return browser.evaluate("""(() => {
      const luminance = c => { const v = c.match(/[\\d.]+/g).slice(0, 3).map(x => x / 255).map(
          x => x > .04045 ? ((x + .055) / 1.055) ** 2.4 : x / 12.92); return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
      const ground = e => { while (e) { const c = getComputedStyle(e).backgroundColor; if (!/, 0\\)$/.test(c)) return c;
          e = e.parentElement; } return 'rgb(255, 255, 255)'; };
      let least = [99, ''];
      for (const e of document.querySelectorAll('body *')) {
        if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length ||
            ['SCRIPT', 'title', 'desc'].includes(e.tagName)) continue;
        const style = getComputedStyle(e), a = luminance(e instanceof SVGElement ? style.fill : style.color);
        const b = luminance(ground(e)), ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
        if (least[0] > ratio) least = [ratio, e.tagName + ' ' + e.textContent.slice(0, 40)];
      }
      return least; })()""")


def look(browser, page, pictures, views):
    for name in views:
        view = VIEWS[name]
        browser.look(**view)
        browser.requests.clear()
        browser.open(page.as_uri())
        expect(browser.requests == [page.as_uri()], f'{page.name}, {name}: requests {browser.requests}')
        wide = browser.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
        expect(wide <= 0 or name == 'paper', f'{page.name}, {name}: {wide} pixels wider than the screen')
        least, where = contrast(browser)
        expect(least >= 4.5, f'{page.name}, {name}: contrast {least:.2f} of {where}')
        shot = pictures / f'{page.stem}-{name}.png'
        browser.screenshot(shot)
        expect(shot.stat().st_size > 10000, f'{page.name}, {name}: an empty picture')


def sort(browser, page):
    """The gallery's table has layers 10, 9, 8, and names of which one is hostile."""
    browser.look()
    browser.open(page.as_uri())
    browser.evaluate("document.querySelector('details').open = true")
    expect(browser.evaluate(COLUMN % 0) == ['10', '9', '8'], 'sort: the order before')
    browser.evaluate("document.querySelector('table.sortable th button').focus()")
    browser.press('Enter', 'Enter', '\r')
    expect(browser.evaluate(COLUMN % 0) == ['10', '9', '8'], 'sort: numbers, large ones first')
    browser.press('Enter', 'Enter', '\r')
    expect(browser.evaluate(COLUMN % 0) == ['8', '9', '10'], 'sort: as numbers, not as texts')
    told = browser.evaluate("document.querySelector('table.sortable th').getAttribute('aria-sort')")
    expect(told == 'ascending', f'sort: aria-sort is {told}')
    browser.evaluate("document.querySelectorAll('table.sortable th button')[2].click()")
    names = browser.evaluate(COLUMN % 2)
    expect(names[1:] == ['b 9', 'b 10'] or names[:2] == ['b 9', 'b 10'], f'sort: texts by their numbers: {names}')


def without_script(browser, page):
    browser.call('Emulation.setScriptExecutionDisabled', value=True)
    browser.open(page.as_uri())
    height = browser.evaluate('document.documentElement.scrollHeight')
    browser.call('Emulation.setScriptExecutionDisabled', value=False)
    browser.open(page.as_uri())
    with_script = browser.evaluate('document.documentElement.scrollHeight')
    expect(height == with_script, f'{page.name}: the script moves things: {height} and {with_script} pixels')


def named(browser, page):
    """What a screen reader hears: every figure is an image with its name and description."""
    browser.open(page.as_uri())
    nodes = browser.call('Accessibility.getFullAXTree')['nodes']
    images = [n for n in nodes if not n.get('ignored') and n['role']['value'] in ('image', 'img', 'graphics-document')]
    charts = browser.evaluate('document.querySelectorAll("svg[role=img]").length')
    expect(len(images) == charts and all(n['name']['value'] for n in images),
           f'{page.name}: {len(images)} named images for {charts} figures')


def main(program, gallery, model, pictures=None):
    chromium = devtools.find_browser()
    if not chromium:
        print('skipped: no Chromium here; tools/install-deps browser installs it')
        return 77
    with tempfile.TemporaryDirectory() as folder, devtools.Browser(chromium, 240) as browser:
        kept = Path(pictures or folder)
        kept.mkdir(parents=True, exist_ok=True)
        made = {page.stem: page for page, _ in pages.make(program, gallery, model, Path(folder))}
        for name in ('gallery', 'single', 'pair', 'trace'):
            look(browser, made[name], kept, VIEWS if name == 'gallery' else ['light', 'narrow'])
            named(browser, made[name])
        sort(browser, made['gallery'])
        without_script(browser, made['single'])
        browser.look()
        browser.pdf(kept / 'single.pdf')
        expect((kept / 'single.pdf').read_bytes()[:5] == b'%PDF-', 'no PDF')
        expect(not browser.console, f'the pages say: {browser.console}')
    print(f'{len(FAILURES)} faults')
    return 1 if FAILURES else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
