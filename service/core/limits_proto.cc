#include "service/core/limits_proto.h"

#include <cstdint>

#include "service/base/proto_time.h"

namespace cloister::core {

v1::Limits ToProto(const sandbox::Limits& limits) {
  v1::Limits proto;
  *proto.mutable_wall_time() = base::ToProto(limits.wall_time);
  *proto.mutable_cpu_time() = base::ToProto(limits.cpu_time);
  proto.set_memory_bytes(limits.memory_bytes);
  proto.set_output_bytes(limits.output_bytes);
  proto.set_process_count(static_cast<int32_t>(limits.process_count));
  proto.set_open_file_count(static_cast<int32_t>(limits.open_file_count));
  proto.set_file_bytes(limits.file_bytes);
  proto.set_workspace_bytes(limits.workspace_bytes);
  return proto;
}

}  // namespace cloister::core
