"""The checks find what they are for, and nothing else: small trees, right and wrong."""

import pathlib
import tempfile
import unittest

import check_layers
import check_sizes


class Tree(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = directory.name

    def write(self, path, text):
        file = pathlib.Path(self.root, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


class LayersTest(Tree):
    def violations(self, path, *includes):
        self.write(path, "".join(f"#include {i}\n" for i in includes))
        found, count = check_layers.check(self.root)
        self.assertEqual(count, 1)
        return found

    def test_allowed(self):
        for path, *includes in (
            ("sandbox/linux/landlock.cc", '"sandbox/linux/landlock.h"', '"sandbox/base/unique_fd.h"', "<sys/prctl.h>"),
            ("sandbox/guest/runtime.cc", "<Python.h>", '"sandbox/zygote/guest_runtime.h"'),
            ("service/core/execution.cc", '"sandbox/sandbox.h"', '"cloister/v1/outcome.pb.h"', "<vector>"),
            ("service/rpc/info.cc", "<grpcpp/grpcpp.h>", '"cloister/v1/info_service.grpc.pb.h"'),
            ("service/observability/metrics.cc", "<prometheus/counter.h>"),
            ("service/main.cc", '"service/server/server.h"', '"sandbox/host/spawner_client.h"'),
            ("clients/cli/run.cc", '"cloister/client/channel.h"', "<CLI/CLI.hpp>"),
            ("tests/unit/service_core/execution_test.cc", '"service/core/execution.h"', "<gtest/gtest.h>"),
        ):
            with self.subTest(path):
                self.setUp()
                self.assertEqual(self.violations(path, *includes), [])

    def test_forbidden(self):
        for path, include in (
            ("sandbox/base/limits.h", '"sandbox/linux/rlimits.h"'),
            ("sandbox/linux/landlock.cc", '"sandbox/spawner/spawner.h"'),
            ("sandbox/linux/landlock.cc", "<grpcpp/grpcpp.h>"),
            ("sandbox/linux/landlock.cc", '"service/core/execution.h"'),
            ("sandbox/spawner/spawner.cc", "<Python.h>"),
            ("sandbox/host/client.cc", '"sandbox/spawner/spawner.h"'),
            ("service/core/execution.cc", "<unistd.h>"),
            ("service/core/execution.cc", "<grpcpp/grpcpp.h>"),
            ("service/core/execution.cc", '"cloister/v1/execution_service.grpc.pb.h"'),
            ("service/core/execution.cc", '"service/pool/sandbox_pool.h"'),
            ("service/pool/sandbox_pool.cc", '"sandbox/host/spawner_client.h"'),
            ("service/rpc/info.cc", '"sandbox/host/spawner_client.h"'),
            ("service/rpc/info.cc", "<prometheus/counter.h>"),
            ("service/server/server.cc", "<prometheus/counter.h>"),
            ("service/observability/metrics.cc", '"service/server/server.h"'),
            ("service/server/server.cc", '"tests/support/fake_loop.h"'),
            ("clients/cpp/channel.cc", '"service/core/error.h"'),
            ("clients/cpp/channel.cc", '"cloister/internal/v1/guest.pb.h"'),
            ("service/rpc/info.cc", '"info.h"'),
            ("service/new/thing.cc", "<vector>"),
        ):
            with self.subTest(path=path, include=include):
                self.setUp()
                found = self.violations(path, "<string>", include)
                self.assertTrue(found and all(f.startswith(path + ":") for f in found), found)

    def test_nothing_to_check_is_no_success(self):
        self.assertEqual(check_layers.check(self.root), ([], 0))


class SizesTest(Tree):
    def test_long_file_is_an_error(self):
        self.write("service/core/long.cc", "\n" * 401)
        self.write("service/core/short.cc", "\n" * 400)
        errors, remarks = check_sizes.check(self.root)
        self.assertEqual([e.split(":")[0] for e in errors], ["service/core/long.cc"])
        self.assertEqual(remarks, [])

    def test_tables_may_be_long(self):
        self.write("sandbox/linux/seccomp_table.cc", "\n" * 500)
        self.assertEqual(check_sizes.check(self.root), ([], []))

    def test_long_function_and_header_are_remarks(self):
        body = "  Call();\n"
        text = "namespace x {\n\nint kValue = 1;\n\nvoid Short() {\n" + body * 58 + "}\n\n"
        text += "absl::Status Long(int a,\n                  int b) {\n" + body * 60 + "}\n\n}  // namespace x\n"
        self.write("service/core/file.cc", text)
        self.write("service/core/file.h", "\n" * 201)
        errors, remarks = check_sizes.check(self.root)
        self.assertEqual(errors, [])
        self.assertEqual(len(remarks), 2, remarks)
        self.assertIn("function of 63 lines", remarks[0])
        self.assertIn("file.h: 201 lines", remarks[1])


if __name__ == "__main__":
    unittest.main()
