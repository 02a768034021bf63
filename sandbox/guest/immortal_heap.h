// Makes everything alive in the zygote immortal, so that clones share it for good.
//
// Using an object counts a reference to it, which writes to its page, which copies the page in the
// clone. Reference counts of immortal objects (PEP 683) are never written. Nothing of the zygote's
// would be freed in a clone anyway: a clone lives for one program.
//
// What programs can see of it: sys.getrefcount of an object the warm-up made is a large constant,
// and such an object is not freed when a program drops it.

#ifndef CLOISTER_SANDBOX_GUEST_IMMORTAL_HEAP_H_
#define CLOISTER_SANDBOX_GUEST_IMMORTAL_HEAP_H_

#include "absl/status/status.h"

namespace cloister::sandbox {

// After the last collection and before gc.freeze. With the GIL.
absl::Status MakeHeapImmortal();

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_IMMORTAL_HEAP_H_
