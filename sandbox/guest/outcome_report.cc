#include "sandbox/guest/outcome_report.h"

#include <cstdint>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace cloister::sandbox {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::string ReportString(PyObject* text) {
  return ToUtf8(text, kMaxReportStringBytes, Cut::kMiddle);
}

// Out of range and wrong types give 0.
int32_t ReportInt(PyObject* number) {
  const long value = PyLong_Check(number) ? PyLong_AsLong(number) : 0;
  if (PyErr_Occurred() != nullptr) PyErr_Clear();
  return value < INT32_MIN || value > INT32_MAX ? 0 : static_cast<int32_t>(value);
}

void FillRepeated(PyObject* list, const FieldDescriptor* field, Message* message) {
  const Reflection* reflection = message->GetReflection();
  // Measured each time: filling runs no Python code, but costs nothing to be sure of.
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); ++i) {
    PyObject* item = PyList_GET_ITEM(list, i);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      reflection->AddString(message, field, ReportString(item));
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      FillFromDict(item, reflection->AddMessage(message, field));
    }
  }
}

void FillField(PyObject* value, const FieldDescriptor* field, Message* message) {
  const Reflection* reflection = message->GetReflection();
  if (field->is_repeated()) {
    if (PyList_Check(value)) FillRepeated(value, field, message);
    return;
  }
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      reflection->SetString(message, field, ReportString(value));
      break;
    case FieldDescriptor::CPPTYPE_INT32:
      reflection->SetInt32(message, field, ReportInt(value));
      break;
    case FieldDescriptor::CPPTYPE_ENUM:
      reflection->SetEnumValue(message, field, ReportInt(value));
      break;
    case FieldDescriptor::CPPTYPE_MESSAGE:
      FillFromDict(value, reflection->MutableMessage(message, field));
      break;
    default:
      break;  // no such field in these messages
  }
}

}  // namespace

void FillFromDict(PyObject* dict, Message* message) {
  if (!PyDict_Check(dict)) return;
  Py_ssize_t position = 0;
  PyObject* key;
  PyObject* value;
  while (PyDict_Next(dict, &position, &key, &value)) {
    const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(ReportString(key));
    if (field != nullptr) FillField(value, field, message);
  }
}

void DescribeBriefly(PyObject* exception, v1::Exception* description) {
  PyTypeObject* type = Py_TYPE(exception);
  PyRef name = PyRef::Steal(PyType_GetQualName(type));
  PyRef module = PyRef::Steal(PyType_GetModuleName(type));
  PyErr_Clear();
  description->set_type(ReportString(name.get()));
  description->set_module(ReportString(module.get()));
  description->set_message("<unprintable " + description->type() + " object>");
  description->set_traceback(description->type() + "\n");
}

void DescribeType(PyObject* object, v1::Value* value) {
  PyRef type_name = PyRef::Steal(PyType_GetFullyQualifiedName(Py_TYPE(object)));
  if (!type_name) PyErr_Clear();
  value->set_type_name(ReportString(type_name.get()));
}

bool DescribeValue(PyObject* object, v1::Value* value) {
  PyRef text = PyRef::Steal(PyObject_Repr(object));
  if (!text) return false;
  bool truncated = false;
  value->set_text(ToUtf8(text.get(), kMaxValueBytes, Cut::kEnd, &truncated));
  value->set_truncated(truncated);
  DescribeType(object, value);
  return true;
}

}  // namespace cloister::sandbox
