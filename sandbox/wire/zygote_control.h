// Where a guest binary finds its end of the packet socket to the spawner (spawner.proto, ZygoteRequest
// and ZygoteEvent).

#ifndef CLOISTER_SANDBOX_WIRE_ZYGOTE_CONTROL_H_
#define CLOISTER_SANDBOX_WIRE_ZYGOTE_CONTROL_H_

namespace cloister::sandbox {

inline constexpr int kZygoteControlDescriptor = 3;

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_WIRE_ZYGOTE_CONTROL_H_
