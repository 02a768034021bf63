"""Jupyter Notebook in a real browser: cells are typed, and what appears is read, and looked at.

Debian's jupyter-notebook, chromium, chromium-driver and python3-selenium. Screenshots are left in CLOISTER_SCREENSHOTS.
"""

import base64
import io
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import unittest
import zlib

from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait
from support import KernelTest

TIMEOUT = 60
PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 4, 9, 16])\nplt.title('squares')\nplt.show()"
NOTEBOOK = {
    "cells": [], "nbformat": 4, "nbformat_minor": 4,
    "metadata": {"kernelspec": {"name": "cloister", "display_name": "Python (Cloister)", "language": "python"}},
}


class BrowserTest(KernelTest):
    config = 'templates { name: "python3.14-data" image: "python3.14-data" warm_up_imports: "numpy" pool { minimum_ready: 1 } }'

    def setUp(self):
        super().setUp()
        self.screenshots = pathlib.Path(os.environ.get("CLOISTER_SCREENSHOTS") or self.server.directory)
        self.home = self.server.directory / "home"
        self.home.mkdir(exist_ok=True)
        (self.home / "Cells.ipynb").write_text(json.dumps(NOTEBOOK))
        self.start_notebook()
        self.start_browser()

    def start_notebook(self):
        environment = {**os.environ, "HOME": str(self.home), "JUPYTER_RUNTIME_DIR": str(self.home / "runtime")}
        self.notebook = subprocess.Popen(
            [sys.executable, "-m", "notebook", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={free_port()}",
             "--port-retries=50", f"--notebook-dir={self.home}"],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(self.stop_notebook)
        seen = []
        for line in self.notebook.stdout:
            seen.append(line)
            match = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=(\w+)", line)
            if match is not None:
                self.port, self.token = match.groups()
                return
        self.fail("Jupyter Notebook did not start:\n" + "".join(seen))

    def stop_notebook(self):
        self.notebook.send_signal(signal.SIGTERM)
        self.notebook.communicate(timeout=30)
        self.wait_until(lambda: not self.sandboxes(), "no sandbox is left")

    def start_browser(self):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "window-size=1100,1500",
                         f"user-data-dir={self.home}/browser"):
            options.add_argument(f"--{argument}")
        self.browser = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.addCleanup(self.browser.quit)
        self.browser.set_script_timeout(TIMEOUT)
        self.browser.get(f"http://127.0.0.1:{self.port}/notebooks/Cells.ipynb?token={self.token}")
        self.wait_for("return !!(window.Jupyter && Jupyter.notebook && Jupyter.notebook.kernel"
                      " && Jupyter.notebook.kernel.is_connected())", "the kernel is connected")

    def wait_for(self, script, what, *arguments):
        try:
            WebDriverWait(self.browser, TIMEOUT).until(lambda browser: browser.execute_script(script, *arguments))
        except TimeoutException:
            self.browser.save_screenshot(str(self.screenshots / "failure.png"))
            self.fail(f"not within {TIMEOUT} s: {what}\n{self.browser.get_log('browser')}")

    def type_cell(self, code):
        """Into the last cell, by keys, and Shift-Enter. Returns its index."""
        cells = self.browser.find_elements(By.CSS_SELECTOR, "div.code_cell")
        cells[-1].find_element(By.CSS_SELECTOR, ".CodeMirror").click()
        keys = webdriver.ActionChains(self.browser)
        for index, line in enumerate(code.split("\n")):
            if index:  # without the editor's own indentation, and past what it closes by itself
                keys.send_keys(Keys.END, Keys.ENTER, Keys.HOME)
            keys.send_keys(line)
        keys.key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(Keys.SHIFT).perform()
        return len(cells) - 1

    def cell(self, index):
        return self.browser.find_elements(By.CSS_SELECTOR, "div.code_cell")[index]

    def wait_for_end(self, index):
        self.wait_for("const cell = Jupyter.notebook.get_cell(arguments[0]);"
                      "return cell.input_prompt_number !== '*' && !cell.element.hasClass('running')", "the cell ends", index)

    def run_cell(self, code):
        index = self.type_cell(code)
        self.wait_for_end(index)
        return self.cell(index)

    def screenshot(self, name):
        self.browser.execute_script("document.activeElement.blur(); document.querySelector('#site').scrollTop = 0")
        path = self.screenshots / name
        self.assertTrue(self.browser.save_screenshot(str(path)))
        return path

    def test_a_notebook(self):
        cell = self.run_cell("name = 'Ada'")
        cell = self.run_cell("print('hello from', name)")
        self.assertEqual(cell.find_element(By.CSS_SELECTOR, ".output_stdout").text, "hello from Ada")
        cell = self.run_cell("6 * 7")
        self.assertEqual(cell.find_element(By.CSS_SELECTOR, ".output_result").text, "42")
        self.assertEqual(cell.find_element(By.CSS_SELECTOR, ".input_prompt").text.replace("\xa0", " "), "In [3]:")

        cell = self.run_cell(PLOT)
        source = cell.find_element(By.CSS_SELECTOR, ".output_png img").get_attribute("src")
        width, height, colours = picture(base64.b64decode(source.partition(",")[2]))
        self.assertGreater(min(width, height), 200)
        self.assertGreater(colours, 10)  # and not an empty page

        cell = self.run_cell("def divide(x): return 1 / x\ndivide(0)")
        error = cell.find_element(By.CSS_SELECTOR, ".output_error").text
        self.assertIn("ZeroDivisionError: division by zero", error)
        self.assertIn("in divide", error)

        index = self.type_cell("while True: pass")
        self.wait_for("return Jupyter.notebook.kernel_busy === true || Jupyter.notebook.get_cell(arguments[0])"
                      ".input_prompt_number === '*'", "the cell runs", index)
        self.wait_until(lambda: any(each.current_execution for each in self.sandboxes()), "it runs in the server")
        self.browser.execute_script("Jupyter.notebook.kernel.interrupt()")
        self.wait_for_end(index)
        self.assertIn("KeyboardInterrupt", self.cell(index).find_element(By.CSS_SELECTOR, ".output_error").text)
        self.assertEqual(self.run_cell("name").find_element(By.CSS_SELECTOR, ".output_result").text, "'Ada'")
        self.screenshot("notebook.png")

        index = self.type_cell("input('Your name? ')")
        self.wait_for("return !!document.querySelector('.raw_input')", "the notebook asks")
        webdriver.ActionChains(self.browser).send_keys("Grace", Keys.ENTER).perform()
        self.wait_for_end(index)
        self.assertEqual(self.cell(index).find_element(By.CSS_SELECTOR, ".output_result").text, "'Grace'")

        cell = self.run_cell("display({'text/html': '<i id=seen>x</i><script>window.attacked = 1</script>"
                             "<img src=y onerror=\"window.attacked = 1\">', 'application/javascript': 'window.attacked = 1',"
                             " 'image/svg+xml': '<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"window.attacked = 1\"/>'}, raw=True)")
        self.assertEqual(cell.find_element(By.CSS_SELECTOR, ".output_html i").text, "x")
        self.assertIsNone(self.browser.execute_script("return window.attacked || null"))

        # What is queued when the browser goes is not run for ever.
        self.type_cell("while True: pass")
        self.wait_until(lambda: any(each.current_execution for each in self.sandboxes()), "it runs in the server")
        self.browser.execute_async_script("Jupyter.notebook.kernel.kill(arguments[0], arguments[0])")
        self.wait_until(lambda: not self.sandboxes(), "the sandbox ends with the kernel")


def free_port():
    """Where something may come between, the notebook takes another and says which."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def picture(png):
    """Width, height and number of different rows of a PNG file."""
    data = io.BytesIO(png)
    assert data.read(8) == b"\x89PNG\r\n\x1a\n"
    pixels, size = b"", None
    while header := data.read(8):
        length, kind = struct.unpack(">I4s", header)
        chunk = data.read(length)
        data.read(4)
        if kind == b"IHDR":
            size = struct.unpack(">IIBB", chunk[:10])
        elif kind == b"IDAT":
            pixels += chunk
    width, height, depth, colour = size
    row = 1 + width * depth // 8 * {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    rows = zlib.decompress(pixels)
    return width, height, len({rows[start:start + row] for start in range(0, len(rows), row)})


if __name__ == "__main__":
    unittest.main()
