// absl's times and durations to protobuf's and back.

#ifndef CLOISTER_SERVICE_BASE_PROTO_TIME_H_
#define CLOISTER_SERVICE_BASE_PROTO_TIME_H_

#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace cloister::base {

// Finite values only; whole nanoseconds, rounded towards zero.
google::protobuf::Duration ToProto(absl::Duration duration);
google::protobuf::Timestamp ToProto(absl::Time time);

// Does not judge the message: seconds and nanos are added up as they stand.
absl::Duration FromProto(const google::protobuf::Duration& duration);

}  // namespace cloister::base

#endif  // CLOISTER_SERVICE_BASE_PROTO_TIME_H_
