// From what mime.py says of an object to the message, within the caps that notebook.proto names.

#ifndef CLOISTER_SANDBOX_GUEST_MIME_BUNDLE_H_
#define CLOISTER_SANDBOX_GUEST_MIME_BUNDLE_H_

#include <cstddef>

#include "cloister/v1/notebook.pb.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

inline constexpr int kMaxForms = 32;
inline constexpr size_t kMaxMimeTypeBytes = 128;
inline constexpr size_t kMaxFormBytes = size_t{8} << 20;
inline constexpr size_t kMaxBundleBytes = size_t{16} << 20;
inline constexpr size_t kMaxMetadataBytes = size_t{64} << 10;
// Longer text/plain is cut, in place of left out.
inline constexpr size_t kMaxPlainTextBytes = size_t{1} << 20;

// `description` is a tuple: a dict of MIME type to str or bytes; the metadata as JSON text; a list of
// the MIME types that could not be made. Parts of other types are left out. Runs no Python code, sets no
// exception.
void FillBundle(PyObject* description, v1::MimeBundle* bundle);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MIME_BUNDLE_H_
