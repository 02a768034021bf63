#include "service/server/image_catalog.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"
#include "sandbox/base/status_macros.h"

namespace cloister::server {
namespace {

absl::StatusOr<std::string> StringMember(const nlohmann::json& manifest, const char* name) {
  const auto member = manifest.find(name);
  if (member == manifest.end() || !member->is_string()) {
    return absl::InvalidArgumentError(absl::StrCat("manifest.json has no string \"", name, "\""));
  }
  return member->get<std::string>();
}

absl::Status NotThereError(const internal::v1::ServerConfig& config, const std::string& name) {
  return absl::FailedPreconditionError(
      absl::StrCat("image ", name, " is not in ", config.image_directory(),
                   " (or this user may not read it): build it with deploy/images/build.sh ", name));
}

// The directory of the version that `name` is a link to, or of a plain image.
struct Version {
  std::string directory;
  std::shared_ptr<const sandbox::UniqueFd> manifest;  // locked
};

absl::StatusOr<Version> FindVersion(const internal::v1::ServerConfig& config,
                                    const std::string& name) {
  // More than one attempt only where the version is removed in this very moment.
  for (int attempts = 0; attempts < 3; ++attempts) {
    std::error_code error;
    const std::string directory =
        std::filesystem::canonical(absl::StrCat(config.image_directory(), "/", name), error);
    if (error) break;
    sandbox::UniqueFd manifest(::open((directory + "/manifest.json").c_str(), O_RDONLY | O_CLOEXEC));
    if (!manifest) break;
    struct stat info;
    const bool is_locked = ::flock(manifest.get(), LOCK_SH | LOCK_NB) == 0;
    if (is_locked && ::fstat(manifest.get(), &info) == 0 && info.st_nlink > 0) {
      return Version{directory, std::make_shared<const sandbox::UniqueFd>(std::move(manifest))};
    }
  }
  return NotThereError(config, name);
}

absl::StatusOr<Image> LoadImage(const internal::v1::ServerConfig& config, const std::string& name) {
  CLOISTER_ASSIGN_OR_RETURN(Version version, FindVersion(config, name));
  std::ifstream file(version.directory + "/manifest.json");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  auto image = ParseManifest(text);
  if (!image.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("image ", name, ": ", std::string(image.status().message()),
                     "; build it again with deploy/images/build.sh --force ", name));
  }
  image->name = name;
  image->root = version.directory + "/rootfs";
  image->lock = std::move(version.manifest);
  image->guest_binary = absl::StrCat(config.guest_directory(), "/cloister-guest-", name);
  if (::access(image->guest_binary.c_str(), X_OK) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("image ", name, " has no guest binary ", image->guest_binary,
                     ": configure and build again now that the image exists"));
  }
  return image;
}

}  // namespace

absl::StatusOr<Image> ParseManifest(const std::string& text) {
  const auto manifest = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!manifest.is_object()) return absl::InvalidArgumentError("manifest.json is no JSON object");
  Image image;
  CLOISTER_ASSIGN_OR_RETURN(image.name, StringMember(manifest, "name"));
  CLOISTER_ASSIGN_OR_RETURN(image.python_version, StringMember(manifest, "python_version"));
  const auto packages = manifest.find("packages");
  if (packages == manifest.end() || !packages->is_array()) {
    return absl::InvalidArgumentError("manifest.json has no list \"packages\"");
  }
  for (const auto& package : *packages) {
    if (!package.is_string()) {
      return absl::InvalidArgumentError("manifest.json has a package that is no string");
    }
    image.packages.push_back(package.get<std::string>());
  }
  std::sort(image.packages.begin(), image.packages.end());
  return image;
}

absl::StatusOr<std::vector<Image>> LoadImages(const internal::v1::ServerConfig& config) {
  std::vector<Image> images;
  std::vector<std::string> problems;
  for (const internal::v1::TemplateConfig& entry : config.templates()) {
    auto image = LoadImage(config, entry.image());
    if (image.ok()) {
      images.push_back(*std::move(image));
    } else {
      problems.push_back(
          absl::StrCat("template ", entry.name(), ": ", std::string(image.status().message())));
    }
  }
  if (!problems.empty()) return absl::FailedPreconditionError(absl::StrJoin(problems, "\n"));
  return images;
}

}  // namespace cloister::server
