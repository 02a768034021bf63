// A cgroup file system on ordinary files: new directories fill themselves with control files, as
// the kernel's do, and go with them.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_LINUX_FAKE_CGROUP_TREE_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_LINUX_FAKE_CGROUP_TREE_H_

#include <map>
#include <memory>
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

  // How many descriptors this process has.
  static int OpenFiles();

 private:
  std::string root_;
  std::map<std::string, std::map<std::string, std::string>> files_;
};

// A system with `tree` as its v2 hierarchy, whose caller is in the group /unit with all
// controllers.
CgroupSystem MakeV2System(const std::shared_ptr<FakeCgroupTree>& tree);

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_LINUX_FAKE_CGROUP_TREE_H_
