#include "tests/unit/sandbox_linux/fake_cgroup_tree.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace cloister::sandbox {

namespace fs = std::filesystem;

FakeCgroupTree::FakeCgroupTree() {
  std::string name = (fs::temp_directory_path() / "cgroup-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "mkdtemp " << name;
  root_ = name;
}

FakeCgroupTree::~FakeCgroupTree() { fs::remove_all(root_); }

void FakeCgroupTree::SetFiles(const std::string& below, std::map<std::string, std::string> files) {
  files_[root_ + below] = std::move(files);
}

absl::Status FakeCgroupTree::MakeDirectory(const std::string& path) {
  const absl::Status made = CgroupTree::MakeDirectory(path);
  if (!made.ok()) return made;
  for (const auto& [prefix, files] : files_) {
    if (!absl::StartsWith(path, prefix)) continue;
    for (const auto& [name, text] : files) Write(absl::StrCat(path, "/", name), text);
  }
  return absl::OkStatus();
}

absl::Status FakeCgroupTree::RemoveDirectory(const std::string& path) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    if (entry.is_directory()) return absl::FailedPreconditionError("it has groups in it");
  }
  if (error) return absl::NotFoundError(path);
  if (!Line(path + "/cgroup.procs").empty()) return absl::FailedPreconditionError("busy");
  fs::remove_all(path);
  return absl::OkStatus();
}

std::string FakeCgroupTree::Line(const std::string& path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

void FakeCgroupTree::Write(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc);
  file << text;
}

int FakeCgroupTree::OpenFiles() {
  return static_cast<int>(
      std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator()));
}

CgroupSystem MakeV2System(const std::shared_ptr<FakeCgroupTree>& tree) {
  tree->SetFiles("/unit", {{"cgroup.procs", ""},
                           {"cgroup.type", "domain\n"},
                           {"cgroup.controllers", "cpu io memory pids\n"},
                           {"cgroup.subtree_control", ""},
                           {"cgroup.events", "populated 0\nfrozen 0\n"},
                           {"cgroup.kill", ""},
                           {"cpu.stat", "usage_usec 12\nuser_usec 7\n"},
                           {"cpu.max", "max 100000\n"},
                           {"pids.max", "max\n"},
                           {"memory.max", "max\n"},
                           {"memory.swap.max", "max\n"},
                           {"memory.current", "0\n"},
                           {"memory.peak", "0\n"},
                           {"memory.events", "oom_kill 0\n"},
                           {"memory.stat", "inactive_file 0\n"},
                           {"memory.oom.group", "0\n"},
                           {"memory.reclaim", ""}});
  EXPECT_TRUE(tree->MakeDirectory(tree->root() + "/unit").ok());
  CgroupSystem system;
  system.tree = tree;
  system.own_cgroups = "0::/unit\n";
  system.mountinfo =
      absl::StrCat("1 1 0:1 / ", tree->root(), " rw - cgroup2 cgroup2 rw,nsdelegate\n");
  return system;
}

}  // namespace cloister::sandbox
