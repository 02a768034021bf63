#include "sandbox/wire/frame.h"

#include <sys/socket.h>
#include <sys/types.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kReadPieceBytes = size_t{256} << 10;

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
  CLOISTER_ASSIGN_OR_RETURN(const std::string frame, EncodeFrame(message, max_bytes));
  std::string_view left = frame;
  while (!left.empty()) {
    ssize_t sent = ::send(socket, left.data(), left.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EPIPE || errno == ECONNRESET) {
        return absl::OutOfRangeError("write a frame: the channel is closed");
      }
      return SyscallError("write a frame");
    }
    left.remove_prefix(static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

absl::Status ReadFrame(int socket, google::protobuf::MessageLite* message, size_t max_bytes) {
  uint8_t header[kFrameHeaderBytes];
  const ssize_t got = ReceiveUpTo(socket, header, sizeof(header));
  if (got < 0) return ReadError();
  if (got == 0) return absl::OutOfRangeError("read a frame: the channel is closed");
  if (got < static_cast<ssize_t>(sizeof(header))) {
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
