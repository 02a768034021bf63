// Compiled once for each WRONG, which must fail, and once without, which must not: an object is not
// touched without the token of its interpreter.

#include "sandbox/guest/provenance.h"

namespace cloister::sandbox {

#if defined(WRONG_WITHOUT_TOKEN)
PyObject* Touch(const HomeRef& object) { return object.get(); }
#elif defined(WRONG_AS_POINTER)
PyObject* Touch(const HomeRef& object) { return object; }
#elif defined(WRONG_FROM_POINTER)
HomeRef Keep(PyObject* object) { return object; }
#elif defined(WRONG_KEPT_TOKEN)
Here* Keep() { return new Here(); }
#elif defined(WRONG_COPIED_TOKEN)
auto Carry(const Here& here, const HomeRef& object) {
  return [here, &object] { return object.get(here); };
}
#elif defined(WRONG_SECOND_OWNER)
HomeRef Copy(const HomeRef& object) { return object; }
#else
PyObject* Touch(const HomeRef& object, const Here& here) { return object.get(here); }
HomeRef Keep(const Here& here, PyRef object) { return HomeRef(here, std::move(object)); }
PyRef Hand(HomeRef object) {
  const Here here;
  return object.Take(here);
}
#endif

}  // namespace cloister::sandbox
