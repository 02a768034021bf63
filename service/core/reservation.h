// Room kept for what is being made, so that what is under way at once cannot pass a bound together.

#ifndef CLOISTER_SERVICE_CORE_RESERVATION_H_
#define CLOISTER_SERVICE_CORE_RESERVATION_H_

#include <memory>
#include <utility>

namespace cloister::core {

// So many of a total are taken as long as it lives. Shared by whoever makes them; drop it when they are
// counted otherwise, or will not be. Thread-safety: loop thread only. May outlive the total's owner.
class Reservation {
 public:
  using Total = std::shared_ptr<int>;

  static std::shared_ptr<Reservation> Take(Total total, int count) {
    return std::shared_ptr<Reservation>(new Reservation(std::move(total), count));
  }
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;
  ~Reservation() { *total_ -= count_; }

 private:
  Reservation(Total total, int count) : total_(std::move(total)), count_(count) {
    *total_ += count_;
  }

  const Total total_;
  const int count_;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_RESERVATION_H_
