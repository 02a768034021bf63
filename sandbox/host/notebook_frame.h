// Holds what a guest says in a notebook's frames to the caps that notebook.proto promises clients.
//
// The guest of ours keeps them; a frame past one was not written by it. Strings are valid UTF-8 where the
// frame parsed at all.
//
// Errors: DATA_LOSS, saying what is past its cap.

#ifndef CLOISTER_SANDBOX_HOST_NOTEBOOK_FRAME_H_
#define CLOISTER_SANDBOX_HOST_NOTEBOOK_FRAME_H_

#include "absl/status/status.h"
#include "cloister/internal/v1/cell.pb.h"
#include "cloister/v1/notebook.pb.h"

namespace cloister::sandbox {

absl::Status CheckBundle(const v1::MimeBundle& bundle);
absl::Status CheckDisplay(const v1::DisplayData& display);
absl::Status CheckInputRequest(const v1::InputRequest& request);

// Answers. Completions replace a part of the code before the cursor.
absl::Status CheckCompleted(const v1::CompleteResponse& response, const v1::CompleteRequest& request);
absl::Status CheckInspected(const v1::InspectResponse& response);
absl::Status CheckChecked(const v1::CheckCompleteResponse& response);
absl::Status CheckRequestFailed(const internal::v1::RequestFailed& failed);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_NOTEBOOK_FRAME_H_
