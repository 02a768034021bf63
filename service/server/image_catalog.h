// The runtime images of the configured templates, as their manifests describe them.

#ifndef CLOISTER_SERVICE_SERVER_IMAGE_CATALOG_H_
#define CLOISTER_SERVICE_SERVER_IMAGE_CATALOG_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cloister/internal/v1/config.pb.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::server {

// Thread-safety: a value.
struct Image {
  std::string name;
  // Root file system, and the guest binary built for it.
  std::string root;
  std::string guest_binary;
  std::string python_version;
  // "name version", sorted.
  std::vector<std::string> packages;
  // Of its manifest, locked shared: while any copy of this object lives, deploy/images/build.sh leaves
  // this version of the image where it is.
  std::shared_ptr<const sandbox::UniqueFd> lock;
};

// Reads a manifest as deploy/images/build.sh writes it. Errors: INVALID_ARGUMENT naming the field.
absl::StatusOr<Image> ParseManifest(const std::string& text);

// One image for each template, in their order: the version that each name stands for now, however it
// is rebuilt later. Errors: FAILED_PRECONDITION naming every image or
// guest binary that is missing, and how to make it.
absl::StatusOr<std::vector<Image>> LoadImages(const internal::v1::ServerConfig& config);

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_IMAGE_CATALOG_H_
