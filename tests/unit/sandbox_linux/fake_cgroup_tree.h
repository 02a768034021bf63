// A cgroup file system on ordinary files: new directories fill themselves with control files, as
// the kernel's do, and go with them.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_LINUX_FAKE_CGROUP_TREE_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_LINUX_FAKE_CGROUP_TREE_H_

#include <map>
#include <string>

#include "sandbox/linux/cgroup_tree.h"

namespace cloister::sandbox {

// Ownership: a temporary directory, removed when destroyed.
class FakeCgroupTree : public CgroupTree {
 public:
  FakeCgroupTree();
  ~FakeCgroupTree() override;

  const std::string& root() const { return root_; }

  // What a directory whose path begins with root() + `below` gets from now on: name to first
  // content.
  void SetFiles(const std::string& below, std::map<std::string, std::string> files);

  absl::Status MakeDirectory(const std::string& path) override;
  absl::Status RemoveDirectory(const std::string& path) override;

  // First line of a file; what a longer, earlier content left behind it is not looked at.
  static std::string Line(const std::string& path);
  static void Write(const std::string& path, const std::string& text);

 private:
  std::string root_;
  std::map<std::string, std::map<std::string, std::string>> files_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_LINUX_FAKE_CGROUP_TREE_H_
