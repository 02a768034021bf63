"""Tokens: what lets a client in, what does not, and whom it cannot see."""

import os
import subprocess
import tempfile
import unittest
from unittest import mock

import cloister
from support import CONFIG, Server


class IdentityTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        os.chmod(directory.name, 0o755)
        cls.tokens = os.path.join(directory.name, "tokens.textproto")
        cls.first, cls.second = cls.new_token("first"), cls.new_token("second")
        os.chmod(cls.tokens, 0o644)
        cls.server = Server(CONFIG + f'authentication {{ token_file: "{cls.tokens}" }}\ntenants {{ name: "first" }} tenants {{ name: "second" }}', token=cls.first)
        cls.addClassCleanup(cls.server.close)

    @classmethod
    def new_token(cls, tenant):
        done = subprocess.run([os.environ["CLOISTER_CLI"], "token", "new", "--tenant", tenant, "--add-to", cls.tokens],
                              check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def client(self, **options):
        client = cloister.Client(self.server.address, **options)
        self.addCleanup(client.close)
        return client

    def test_a_token_lets_in(self):
        self.assertEqual(self.client(token=self.first).run("1").value, 1)
        with mock.patch.dict(os.environ, {"CLOISTER_TOKEN": self.first}):
            self.assertEqual(self.client().run("1").value, 1)

    def test_none_and_a_wrong_one_do_not(self):
        for options, reason in (({}, "CREDENTIALS_MISSING"), ({"token": "cloister_" + "x" * 43}, "CREDENTIALS_INVALID")):
            with self.assertRaises(cloister.Unauthenticated) as caught:
                self.client(**options).run("1")
            self.assertEqual(caught.exception.reason, reason)
            with self.assertRaises(cloister.Unauthenticated):
                next(self.client(**options).stream("1"))

    def test_tenants_do_not_see_one_another(self):
        first, second = self.client(token=self.first), self.client(token=self.second)
        with first.sandbox() as sandbox:
            self.assertEqual(second.sandboxes(), [])
            for use in (lambda: second.open_sandbox(sandbox.name), lambda: cloister.Sandbox(second._caller, sandbox.name).run("1")):
                with self.assertRaises(cloister.NotFound) as caught:
                    use()
                self.assertEqual(caught.exception.reason, "SANDBOX_NOT_FOUND")
            self.assertEqual(len(first.sandboxes()), 1)


if __name__ == "__main__":
    unittest.main()
