// Process 1 of a template's pid namespace: forked off before the runtime starts, so that it has a
// few pages only, and cloning an init from it is cheap. Makes inits ahead of need; when it ends,
// the kernel ends every process of the template.

#ifndef CLOISTER_SANDBOX_ZYGOTE_NURSERY_H_
#define CLOISTER_SANDBOX_ZYGOTE_NURSERY_H_

namespace cloister::sandbox {

// Answers InitRequests on `socket` until the zygote ends, then returns the exit status that tells
// of the zygote's: its own, or 128 and the signal.
int RunNursery(int zygote_pidfd, int socket);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_ZYGOTE_NURSERY_H_
