"""Drives a headless Chromium over a pipe (DevTools protocol), with nothing but Python's standard library.

A pipe has no port and no handshake: messages are JSON, each followed by a NUL, on the file descriptors 3 and 4 of the browser.
"""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')


def find_browser():
    """The path of a Chromium; None where there is none. PLUMB_CHROMIUM names another one."""
    named = os.environ.get('PLUMB_CHROMIUM')
    if named is not None:
        return shutil.which(named)
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page in one browser. What happened since the start: `console` (texts), `requests` (URLs)."""

    def __init__(self, program, seconds=60):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.seconds, self.last, self.rest = seconds, 0, b''
        self.console, self.requests, self.events = [], [], []
        to_browser, from_browser = os.pipe(), os.pipe()
        self.write_end, self.read_end = to_browser[1], from_browser[0]

        def plug():  # the browser reads from 3 and writes to 4; the ends that are moved there may be in the way
            read, write = os.dup(to_browser[0]), os.dup(from_browser[1])
            high = [os.dup2(read, 60), os.dup2(write, 61)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        # pylint: disable=subprocess-popen-preexec-fn,consider-using-with
        self.process = subprocess.Popen(
            [program, '--headless=new', '--no-sandbox', '--disable-gpu', '--remote-debugging-pipe', '--no-first-run',
             '--disable-background-networking', '--disable-component-update', '--disable-dev-shm-usage',
             '--hide-scrollbars', '--force-color-profile=srgb', '--font-render-hinting=none',
             f'--user-data-dir={self.folder.name}', 'about:blank'],
            preexec_fn=plug, close_fds=False,  # what Python opened closes by itself
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser[0])
        os.close(from_browser[1])
        self.session = None
        targets = self.call('Target.getTargets')['targetInfos']
        page = next(t for t in targets if t['type'] == 'page')
        self.session = self.call('Target.attachToTarget', targetId=page['targetId'], flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.call(f'{domain}.enable')

    def close(self):
        """Ends the browser; also after a failure."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.write_end)
        os.close(self.read_end)
        self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def _receive(self, deadline):
        while b'\0' not in self.rest:
            ready, _, _ = select.select([self.read_end], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError('the browser did not answer')
            block = os.read(self.read_end, 1 << 20)
            if not block:
                raise EOFError('the browser ended')
            self.rest += block
        text, self.rest = self.rest.split(b'\0', 1)
        message = json.loads(text)
        self._note(message)
        return message

    def _note(self, message):
        method, params = message.get('method'), message.get('params', {})
        if method:
            self.events.append(method)
        if method == 'Runtime.consoleAPICalled':
            self.console.append(' '.join(str(a.get('value', a.get('description'))) for a in params['args']))
        elif method == 'Runtime.exceptionThrown':
            self.console.append(str(params['exceptionDetails']))
        elif method == 'Log.entryAdded':
            self.console.append(params['entry']['text'])
        elif method == 'Network.requestWillBeSent':
            self.requests.append(params['request']['url'])

    def call(self, method, **params):
        """Sends a command and waits for its answer."""
        self.last += 1
        message = {'id': self.last, 'method': method, 'params': params}
        if self.session:
            message['sessionId'] = self.session
        data = json.dumps(message).encode() + b'\0'
        while data:
            data = data[os.write(self.write_end, data):]
        deadline = time.monotonic() + self.seconds
        while True:
            answer = self._receive(deadline)
            if answer.get('id') == self.last:
                if 'error' in answer:
                    raise RuntimeError(f'{method}: {answer["error"]}')
                return answer['result']

    def wait_for(self, event):
        deadline = time.monotonic() + self.seconds
        while event not in self.events:
            self._receive(deadline)

    def open(self, url):
        self.events.clear()
        self.call('Page.navigate', url=url)
        self.wait_for('Page.loadEventFired')

    def evaluate(self, expression):
        """The value of a JavaScript expression; promises are waited for."""
        result = self.call('Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in result:
            raise RuntimeError(str(result['exceptionDetails']))
        return result['result'].get('value')

    def look(self, width=1120, height=900, dark=False, paper=False, grey=False, scale=1.0, mobile=False):
        """How the page is shown from here on."""
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=scale,
                  mobile=mobile)
        self.call('Emulation.setEmulatedMedia', media='print' if paper else 'screen',
                  features=[{'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}])
        self.call('Emulation.setEmulatedVisionDeficiency', type='achromatopsia' if grey else 'none')

    def press(self, key, code, text=''):
        for kind in ('keyDown', 'keyUp'):
            self.call('Input.dispatchKeyEvent', type=kind, key=key, code=code, text=text if kind == 'keyDown' else '',
                      windowsVirtualKeyCode={'Tab': 9, 'Enter': 13}.get(key, 0))

    def screenshot(self, path, top=0, height=None):
        """The page from `top` on, `height` pixels of it (None: all), as PNG."""
        size = self.evaluate('[document.documentElement.clientWidth, document.documentElement.scrollHeight]')
        clip = {'x': 0, 'y': top, 'width': size[0], 'height': min(height or size[1], size[1] - top), 'scale': 1}
        data = self.call('Page.captureScreenshot', format='png', captureBeyondViewport=True, clip=clip)['data']
        with open(path, 'wb') as out:
            out.write(base64.b64decode(data))

    def pdf(self, path):
        data = self.call('Page.printToPDF', printBackground=False, preferCSSPageSize=True)['data']
        with open(path, 'wb') as out:
            out.write(base64.b64decode(data))
