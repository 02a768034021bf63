#include "sandbox/host/notebook_frame.h"

#include <algorithm>
#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"

namespace cloister::sandbox {
namespace {

constexpr int kMaxForms = 32;
constexpr size_t kMaxMimeTypeBytes = 128;
constexpr size_t kMaxFormBytes = size_t{8} << 20;
constexpr size_t kMaxBundleBytes = size_t{16} << 20;
constexpr size_t kMaxMetadataBytes = size_t{64} << 10;
constexpr size_t kMaxDisplayIdBytes = 128;
constexpr size_t kMaxPromptBytes = size_t{16} << 10;
constexpr int kMaxCompletions = 500;
constexpr size_t kMaxNameBytes = size_t{1} << 10;
constexpr size_t kMaxSignatureBytes = size_t{16} << 10;
constexpr size_t kMaxDocumentationBytes = size_t{64} << 10;
constexpr size_t kMaxSourceBytes = size_t{256} << 10;
constexpr size_t kMaxShortTextBytes = size_t{4} << 10;
constexpr size_t kMaxIndentBytes = 256;

absl::Status AtMost(size_t size, size_t limit, const char* what) {
  if (size <= limit) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(what, " is past its limit of ", limit));
}

absl::Status CheckMimeType(const std::string& type) {
  CLOISTER_RETURN_IF_ERROR(AtMost(type.size(), kMaxMimeTypeBytes, "a MIME type"));
  const bool is_plain = std::all_of(type.begin(), type.end(), [](char c) { return c > ' ' && c <= '~'; });
  return !type.empty() && is_plain ? absl::OkStatus() : absl::DataLossError("not a MIME type");
}

}  // namespace

absl::Status CheckBundle(const v1::MimeBundle& bundle) {
  CLOISTER_RETURN_IF_ERROR(
      AtMost(static_cast<size_t>(bundle.data_size()), kMaxForms, "a bundle's count of forms"));
  CLOISTER_RETURN_IF_ERROR(
      AtMost(static_cast<size_t>(bundle.omitted_size()), kMaxForms, "a bundle's count of omissions"));
  CLOISTER_RETURN_IF_ERROR(
      AtMost(bundle.metadata_json().size(), kMaxMetadataBytes, "a bundle's metadata"));
  size_t total = 0;
  for (const auto& [type, content] : bundle.data()) {
    CLOISTER_RETURN_IF_ERROR(CheckMimeType(type));
    CLOISTER_RETURN_IF_ERROR(AtMost(content.size(), kMaxFormBytes, "a form"));
    total += content.size();
  }
  for (const v1::OmittedForm& omitted : bundle.omitted()) {
    CLOISTER_RETURN_IF_ERROR(CheckMimeType(omitted.mime_type()));
    if (omitted.size_bytes() < 0) return absl::DataLossError("a negative size");
  }
  return AtMost(total, kMaxBundleBytes, "a bundle");
}

absl::Status CheckDisplay(const v1::DisplayData& display) {
  CLOISTER_RETURN_IF_ERROR(AtMost(display.display_id().size(), kMaxDisplayIdBytes, "a display id"));
  if (display.is_update() && display.display_id().empty()) {
    return absl::DataLossError("an update of no display");
  }
  return CheckBundle(display.bundle());
}

absl::Status CheckInputRequest(const v1::InputRequest& request) {
  if (request.number() <= 0) return absl::DataLossError("an input request without a number");
  return AtMost(request.prompt().size(), kMaxPromptBytes, "a prompt");
}

absl::Status CheckCompleted(const v1::CompleteResponse& response,
                            const v1::CompleteRequest& request) {
  CLOISTER_RETURN_IF_ERROR(AtMost(static_cast<size_t>(response.completions_size()), kMaxCompletions,
                                  "the count of completions"));
  if (response.start() < 0 || response.start() > response.end() ||
      response.end() != request.cursor()) {
    return absl::DataLossError("completions of another part of the code");
  }
  for (const v1::Completion& completion : response.completions()) {
    CLOISTER_RETURN_IF_ERROR(AtMost(completion.text().size(), kMaxNameBytes, "a completion"));
    if (!v1::Completion::Kind_IsValid(completion.kind())) {
      return absl::DataLossError("a completion of an unknown kind");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckInspected(const v1::InspectResponse& response) {
  CLOISTER_RETURN_IF_ERROR(AtMost(response.name().size(), kMaxNameBytes, "a name"));
  CLOISTER_RETURN_IF_ERROR(AtMost(response.type_name().size(), kMaxNameBytes, "a type's name"));
  CLOISTER_RETURN_IF_ERROR(AtMost(response.signature().size(), kMaxSignatureBytes, "a signature"));
  CLOISTER_RETURN_IF_ERROR(
      AtMost(response.documentation().size(), kMaxDocumentationBytes, "a documentation"));
  CLOISTER_RETURN_IF_ERROR(AtMost(response.source().size(), kMaxSourceBytes, "a source"));
  CLOISTER_RETURN_IF_ERROR(AtMost(response.file().size(), kMaxShortTextBytes, "a file's name"));
  CLOISTER_RETURN_IF_ERROR(AtMost(response.value().size(), kMaxShortTextBytes, "a value"));
  return response.line() >= 0 ? absl::OkStatus() : absl::DataLossError("a negative line");
}

absl::Status CheckChecked(const v1::CheckCompleteResponse& response) {
  if (!v1::CheckCompleteResponse::Status_IsValid(response.status()) ||
      response.status() == v1::CheckCompleteResponse::STATUS_UNSPECIFIED) {
    return absl::DataLossError("an unknown status of code");
  }
  return AtMost(response.indent().size(), kMaxIndentBytes, "an indent");
}

absl::Status CheckRequestFailed(const internal::v1::RequestFailed& failed) {
  return AtMost(failed.message().size(), kMaxShortTextBytes, "an error message");
}

}  // namespace cloister::sandbox
