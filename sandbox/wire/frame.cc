#include "sandbox/wire/frame.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/wire/passed_descriptors.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kReadPieceBytes = size_t{256} << 10;
constexpr size_t kControlBytes = CMSG_SPACE(sizeof(int) * kMaxFrameDescriptors);

uint32_t LoadLength(const uint8_t* header) {
  return header[0] | uint32_t{header[1]} << 8 | uint32_t{header[2]} << 16 |
         uint32_t{header[3]} << 24;
}

void StoreLength(uint32_t length, char* header) {
  for (size_t i = 0; i < kFrameHeaderBytes; ++i) header[i] = static_cast<char>(length >> (8 * i));
}

absl::Status LengthError(size_t length, size_t max_bytes) {
  return absl::DataLossError(
      absl::StrCat("a frame announces ", length, " bytes; at most ", max_bytes, " are allowed"));
}

absl::Status ReadError() {
  if (errno == ECONNRESET) return absl::OutOfRangeError("read a frame: the channel is closed");
  return SyscallError("read a frame");
}

// Fills `buffer` from `socket`; how many bytes came before the end, or -1 and errno.
ssize_t ReceiveUpTo(int socket, void* buffer, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t got = ::recv(socket, static_cast<char*>(buffer) + done, size - done, 0);
    if (got == 0) break;
    if (got < 0) {
      if (errno == EINTR) continue;
      return -1;
    }
    done += static_cast<size_t>(got);
  }
  return static_cast<ssize_t>(done);
}

// Until there is something to read, or a signal. Who waits in recv() itself is woken by the other
// side's reads as well, for nothing.
void AwaitReadable(int socket) {
  pollfd polled = {socket, POLLIN, 0};
  (void)::poll(&polled, 1, -1);
}

// The rest of one frame as a protobuf stream, so that a long message is never held twice.
class FrameBody : public google::protobuf::io::CopyingInputStream {
 public:
  FrameBody(int socket, size_t size) : socket_(socket), left_(size) {}

  int Read(void* buffer, int size) override {
    size_t wanted = std::min(left_, static_cast<size_t>(size));
    ssize_t got = ReceiveUpTo(socket_, buffer, wanted);
    if (got > 0) left_ -= static_cast<size_t>(got);
    return static_cast<int>(got);
  }

 private:
  int socket_;
  size_t left_;
};

// The rest of a frame of whose header `got` bytes are there.
absl::Status ReadBody(int socket, const uint8_t* header, size_t got,
                      google::protobuf::MessageLite* message, size_t max_bytes) {
  if (got < kFrameHeaderBytes) {
    return absl::DataLossError("the channel ended inside a frame's header");
  }
  const size_t length = LoadLength(header);
  if (length > max_bytes) return LengthError(length, max_bytes);
  FrameBody body(socket, length);
  const size_t piece = std::clamp<size_t>(length, 1, kReadPieceBytes);
  google::protobuf::io::CopyingInputStreamAdaptor stream(&body, static_cast<int>(piece));
  if (!message->ParseFromBoundedZeroCopyStream(&stream, static_cast<int>(length))) {
    return absl::DataLossError(
        absl::StrCat("a frame of ", length, " bytes is cut short or no ", message->GetTypeName()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> EncodeFrame(const google::protobuf::MessageLite& message,
                                        size_t max_bytes) {
  const size_t length = message.ByteSizeLong();
  if (length > max_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat("a frame holds at most ", max_bytes,
                                                     " bytes, this ", message.GetTypeName(),
                                                     " has ", length));
  }
  std::string frame(kFrameHeaderBytes + length, '\0');
  StoreLength(static_cast<uint32_t>(length), frame.data());
  message.SerializeWithCachedSizesToArray(
      reinterpret_cast<uint8_t*>(frame.data() + kFrameHeaderBytes));
  return frame;
}

absl::Status WriteFrame(int socket, const google::protobuf::MessageLite& message,
                        size_t max_bytes) {
  return WriteFrame(socket, message, max_bytes, {});
}

absl::Status WriteFrame(int socket, const google::protobuf::MessageLite& message, size_t max_bytes,
                        absl::Span<const int> descriptors) {
  if (descriptors.size() > kMaxFrameDescriptors) {
    return absl::ResourceExhaustedError("a frame carries too many descriptors");
  }
  CLOISTER_ASSIGN_OR_RETURN(std::string frame, EncodeFrame(message, max_bytes));
  alignas(cmsghdr) char control[kControlBytes] = {};
  size_t done = 0;
  while (done < frame.size()) {
    iovec data{frame.data() + done, frame.size() - done};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    if (done == 0 && !descriptors.empty()) AttachDescriptors(descriptors, control, &header);
    const ssize_t sent = ::sendmsg(socket, &header, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EPIPE || errno == ECONNRESET) {
        return absl::OutOfRangeError("write a frame: the channel is closed");
      }
      return SyscallError("write a frame");
    }
    done += static_cast<size_t>(sent);
  }
  return absl::OkStatus();
}

absl::Status ReadFrame(int socket, google::protobuf::MessageLite* message, size_t max_bytes) {
  AwaitReadable(socket);
  uint8_t header[kFrameHeaderBytes];
  const ssize_t got = ReceiveUpTo(socket, header, sizeof(header));
  if (got < 0) return ReadError();
  if (got == 0) return absl::OutOfRangeError("read a frame: the channel is closed");
  return ReadBody(socket, header, static_cast<size_t>(got), message, max_bytes);
}

absl::Status ReadFrame(int socket, google::protobuf::MessageLite* message, size_t max_bytes,
                       std::vector<UniqueFd>* descriptors) {
  descriptors->clear();
  AwaitReadable(socket);
  uint8_t bytes[kFrameHeaderBytes];
  iovec data{bytes, sizeof(bytes)};
  alignas(cmsghdr) char control[kControlBytes];
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  ssize_t got;
  do {
    got = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return ReadError();
  if (got == 0) return absl::OutOfRangeError("read a frame: the channel is closed");
  *descriptors = TakeDescriptors(&header);
  if ((header.msg_flags & MSG_CTRUNC) != 0) {
    return absl::DataLossError("a frame came with too many descriptors");
  }
  const ssize_t more = ReceiveUpTo(socket, bytes + got, sizeof(bytes) - static_cast<size_t>(got));
  if (more < 0) return ReadError();
  return ReadBody(socket, bytes, static_cast<size_t>(got + more), message, max_bytes);
}

bool FrameDecoder::ConsumeHeader(std::string_view* bytes) {
  while (header_bytes_ < kFrameHeaderBytes && !bytes->empty()) {
    header_[header_bytes_++] = static_cast<uint8_t>(bytes->front());
    bytes->remove_prefix(1);
  }
  return header_bytes_ == kFrameHeaderBytes;
}

absl::Status FrameDecoder::Consume(std::string_view* bytes) {
  if (header_bytes_ < kFrameHeaderBytes) {
    if (!ConsumeHeader(bytes)) return absl::OkStatus();
    length_ = LoadLength(header_);
    if (length_ > max_bytes_) return LengthError(length_, max_bytes_);
  }
  const size_t piece = std::min(bytes->size(), length_ - message_.size());
  const size_t needed = message_.size() + piece;
  // Doubling, but never past what the frame will hold.
  if (needed > message_.capacity()) message_.reserve(std::min(2 * needed, length_));
  message_.append(bytes->data(), piece);
  bytes->remove_prefix(piece);
  return absl::OkStatus();
}

std::optional<std::string> FrameDecoder::TakeMessage() {
  if (header_bytes_ < kFrameHeaderBytes || message_.size() < length_) return std::nullopt;
  header_bytes_ = 0;
  length_ = 0;
  return std::exchange(message_, std::string());
}

}  // namespace cloister::sandbox
