// From what report.py says to the frame for the host.

#ifndef CLOISTER_SANDBOX_GUEST_OUTCOME_REPORT_H_
#define CLOISTER_SANDBOX_GUEST_OUTCOME_REPORT_H_

#include "cloister/internal/v1/guest.pb.h"
#include "cloister/v1/outcome.pb.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// The longest string in an Exception, and the longest text of a Value.
inline constexpr size_t kMaxReportStringBytes = size_t{16} << 10;
inline constexpr size_t kMaxValueBytes = size_t{1} << 20;

// Fills `message` from a dict whose keys are its fields' names. The program may have had its hands
// in it: keys that name no field and values of the wrong type are left out.
void FillFromDict(PyObject* dict, google::protobuf::Message* message);

// All that can be said of an exception without running a line of Python.
void DescribeBriefly(PyObject* exception, v1::Exception* description);

// The type of a value.
void DescribeType(PyObject* object, v1::Value* value);

// Text and type of a value. False with a Python exception set where its repr() raises.
bool DescribeValue(PyObject* object, v1::Value* value);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_OUTCOME_REPORT_H_
