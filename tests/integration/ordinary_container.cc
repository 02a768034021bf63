// Executes a program as an ordinary container runs it: as nobody, with no new privileges, under a
// filter like those of container runtimes, which let nobody make or join namespaces, mount, or call
// clone3. What it may still do is to confine itself.

#include <grp.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>

namespace {

constexpr unsigned int kNobody = 65534;
constexpr scmp_datum_t kNamespaces = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET |
                                     CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

bool RefuseNamespaces() {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  bool added = filter != nullptr;
  for (int call : {SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(mount), SCMP_SYS(umount2),
                   SCMP_SYS(pivot_root), SCMP_SYS(open_tree), SCMP_SYS(move_mount)}) {
    added = added && seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 0) == 0;
  }
  added = added && seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
  for (scmp_datum_t flag = 1; flag <= kNamespaces; flag <<= 1) {
    if ((kNamespaces & flag) == 0) continue;
    const scmp_arg_cmp has_flag = {0, SCMP_CMP_MASKED_EQ, flag, flag};
    added =
        added && seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, has_flag) == 0;
  }
  return added && seccomp_load(filter) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const bool ready = setgroups(0, nullptr) == 0 && setresgid(kNobody, kNobody, kNobody) == 0 &&
                     setresuid(kNobody, kNobody, kNobody) == 0 &&
                     prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && RefuseNamespaces();
  if (ready) execv(argv[1], argv + 1);
  perror("ordinary_container");
  return 126;
}
