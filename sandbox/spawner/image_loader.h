// Runs a guest binary on an image's own libraries where the image is not the root directory: the
// image's dynamic loader is executed with the binary as its argument.

#ifndef CLOISTER_SANDBOX_SPAWNER_IMAGE_LOADER_H_
#define CLOISTER_SANDBOX_SPAWNER_IMAGE_LOADER_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

// The image's dynamic loader, to be executed (O_PATH). Links inside the image lead nowhere else.
absl::StatusOr<UniqueFd> OpenImageLoader(const std::string& image_root);

// The loader's arguments, its own name first, up to and including the guest binary.
std::vector<std::string> LoaderArguments(const std::string& image_root,
                                         const std::string& guest_binary);

// Where libraries find what they would look for below /.
std::map<std::string, std::string> ImageEnvironment(const std::string& image_root);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_SPAWNER_IMAGE_LOADER_H_
