// Names nobody can guess: who holds an execution's name may attach to it.

#ifndef CLOISTER_SERVICE_BASE_IDS_H_
#define CLOISTER_SERVICE_BASE_IDS_H_

#include <string>

namespace cloister::base {

// 26 characters of [a-z2-7]: 128 bits from the kernel's random source. Never repeats in practice.
//
// Thread-safety: safe. Aborts if the kernel has no random numbers, which no supported kernel does.
std::string NewId();

}  // namespace cloister::base

#endif  // CLOISTER_SERVICE_BASE_IDS_H_
