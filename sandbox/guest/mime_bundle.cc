#include "sandbox/guest/mime_bundle.h"

#include <algorithm>
#include <string>
#include <utility>

namespace cloister::sandbox {
namespace {

constexpr char kPlainText[] = "text/plain";

bool IsMimeType(const std::string& name) {
  return !name.empty() && name.size() <= kMaxMimeTypeBytes &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~'; });
}

// Empty where it is none.
std::string MimeType(PyObject* key) {
  std::string name = ToUtf8(key, kMaxMimeTypeBytes + 1, Cut::kEnd);
  return IsMimeType(name) ? name : std::string();
}

void Omit(const std::string& mime_type, size_t size, v1::MimeBundle* bundle) {
  if (mime_type.empty() || bundle->omitted_size() >= kMaxForms) return;
  v1::OmittedForm* omitted = bundle->add_omitted();
  omitted->set_mime_type(mime_type);
  omitted->set_size_bytes(static_cast<int64_t>(size));
}

// What a form takes, without making it.
size_t EstimateBytes(PyObject* content) {
  return static_cast<size_t>(PyBytes_Check(content) ? PyBytes_GET_SIZE(content)
                                                    : PyUnicode_GET_LENGTH(content));
}

class BundleBuilder {
 public:
  explicit BundleBuilder(v1::MimeBundle* bundle) : bundle_(*bundle) {}

  void Add(PyObject* key, PyObject* content) {
    const std::string mime_type = MimeType(key);
    if (mime_type.empty() || (!PyBytes_Check(content) && !PyUnicode_Check(content))) return;
    const bool is_plain = mime_type == kPlainText && PyUnicode_Check(content);
    const size_t estimate = EstimateBytes(content);
    if (!is_plain && estimate > kMaxFormBytes) return Omit(mime_type, estimate, &bundle_);
    std::string bytes = Bytes(content, is_plain ? kMaxPlainTextBytes : kMaxFormBytes + 8);
    if (bytes.size() > kMaxFormBytes || total_ + bytes.size() > kMaxBundleBytes ||
        bundle_.data_size() >= kMaxForms) {
      return Omit(mime_type, std::max(bytes.size(), estimate), &bundle_);
    }
    total_ += bytes.size();
    (*bundle_.mutable_data())[mime_type] = std::move(bytes);
  }

 private:
  static std::string Bytes(PyObject* content, size_t max_bytes) {
    if (PyUnicode_Check(content)) return ToUtf8(content, max_bytes, Cut::kEnd);
    return std::string(PyBytes_AS_STRING(content), static_cast<size_t>(PyBytes_GET_SIZE(content)));
  }

  v1::MimeBundle& bundle_;
  size_t total_ = 0;
};

}  // namespace

void FillBundle(PyObject* description, v1::MimeBundle* bundle) {
  if (!PyTuple_Check(description) || PyTuple_GET_SIZE(description) != 3) return;
  PyObject* data = PyTuple_GET_ITEM(description, 0);
  PyObject* metadata = PyTuple_GET_ITEM(description, 1);
  PyObject* omitted = PyTuple_GET_ITEM(description, 2);
  if (PyDict_Check(data)) {
    BundleBuilder builder(bundle);
    Py_ssize_t position = 0;
    PyObject* key;
    PyObject* content;
    while (PyDict_Next(data, &position, &key, &content)) builder.Add(key, content);
  }
  bool is_cut = false;
  std::string text = ToUtf8(metadata, kMaxMetadataBytes, Cut::kEnd, &is_cut);
  if (!is_cut) bundle->set_metadata_json(std::move(text));
  if (!PyList_Check(omitted)) return;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(omitted); ++i) {
    Omit(MimeType(PyList_GET_ITEM(omitted, i)), 0, bundle);
  }
}

}  // namespace cloister::sandbox
