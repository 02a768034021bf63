// Times the steps of setting a sandbox up, for the reply and for the benchmarks.

#ifndef CLOISTER_SANDBOX_ZYGOTE_STAGE_CLOCK_H_
#define CLOISTER_SANDBOX_ZYGOTE_STAGE_CLOCK_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "cloister/internal/v1/guest.pb.h"
#include "google/protobuf/repeated_field.h"
#include "sandbox/base/monotonic_time.h"

namespace cloister::sandbox {

// One stage ends where the next begins. Never allocates while it measures, so that it may be
// carried across a clone. Thread-safety: none.
class StageClock {
 public:
  // Ends the current stage, if any, and begins `stage`, a string literal.
  void Begin(const char* stage) {
    if (count_ < kMaxStages) marks_[count_++] = {stage, MonotonicNanoseconds()};
  }

  // The stage that runs now; where something fails, the one that failed.
  const char* current() const { return count_ == 0 ? "start" : marks_[count_ - 1].stage; }

  // When the first stage began.
  int64_t begin() const { return count_ == 0 ? 0 : marks_[0].begin; }

  // Appends every stage and how long it took, the current one up to now.
  void Report(google::protobuf::RepeatedPtrField<internal::v1::StageTime>* times) const {
    const int64_t now = MonotonicNanoseconds();
    for (size_t i = 0; i < count_; ++i) {
      internal::v1::StageTime* time = times->Add();
      time->set_stage(marks_[i].stage);
      time->set_nanoseconds((i + 1 < count_ ? marks_[i + 1].begin : now) - marks_[i].begin);
    }
  }

 private:
  static constexpr size_t kMaxStages = 24;
  struct Mark {
    const char* stage;
    int64_t begin;
  };
  std::array<Mark, kMaxStages> marks_;
  size_t count_ = 0;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_ZYGOTE_STAGE_CLOCK_H_
