// The caps of a notebook's frames, each at its border.

#include "sandbox/host/notebook_frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "sandbox/host/cell_frame.h"

namespace cloister::sandbox {
namespace {

std::string Text(size_t size) { return std::string(size, 'x'); }

v1::MimeBundle BundleOf(const std::string& type, const std::string& content) {
  v1::MimeBundle bundle;
  (*bundle.mutable_data())[type] = content;
  return bundle;
}

TEST(NotebookFrameTest, FormsOfABundle) {
  EXPECT_TRUE(CheckBundle({}).ok());
  EXPECT_TRUE(CheckBundle(BundleOf("text/html", Text(8 << 20))).ok());
  EXPECT_FALSE(CheckBundle(BundleOf("text/html", Text((8 << 20) + 1))).ok());
  v1::MimeBundle large = BundleOf("a/1", Text(8 << 20));
  (*large.mutable_data())["a/2"] = Text(8 << 20);
  EXPECT_TRUE(CheckBundle(large).ok());
  (*large.mutable_data())["a/3"] = "x";
  EXPECT_EQ(CheckBundle(large).message(), "a bundle is past its limit of 16777216");
}

TEST(NotebookFrameTest, CountOfForms) {
  v1::MimeBundle bundle;
  for (int i = 0; i < 32; ++i) (*bundle.mutable_data())["a/" + std::to_string(i)] = "";
  for (int i = 0; i < 32; ++i) bundle.add_omitted()->set_mime_type("a/b");
  EXPECT_TRUE(CheckBundle(bundle).ok());
  v1::MimeBundle more = bundle;
  (*more.mutable_data())["b/c"] = "";
  EXPECT_FALSE(CheckBundle(more).ok());
  bundle.add_omitted()->set_mime_type("a/b");
  EXPECT_FALSE(CheckBundle(bundle).ok());
}

TEST(NotebookFrameTest, MimeTypes) {
  EXPECT_TRUE(CheckBundle(BundleOf("text/plain;charset=utf-8", "")).ok());
  EXPECT_TRUE(CheckBundle(BundleOf(Text(128), "")).ok());
  for (const std::string& type : {Text(129), std::string(), std::string("text/ html"),
                                  std::string("a\nb"), std::string("\xc3\xa9/x")}) {
    EXPECT_FALSE(CheckBundle(BundleOf(type, "")).ok()) << type;
    v1::MimeBundle omitting;
    omitting.add_omitted()->set_mime_type(type);
    EXPECT_FALSE(CheckBundle(omitting).ok()) << type;
  }
  v1::MimeBundle negative;
  negative.add_omitted()->set_mime_type("a/b");
  negative.mutable_omitted(0)->set_size_bytes(-1);
  EXPECT_FALSE(CheckBundle(negative).ok());
}

TEST(NotebookFrameTest, Metadata) {
  v1::MimeBundle bundle;
  bundle.set_metadata_json(Text(64 << 10));
  EXPECT_TRUE(CheckBundle(bundle).ok());
  bundle.set_metadata_json(Text((64 << 10) + 1));
  EXPECT_FALSE(CheckBundle(bundle).ok());
}

TEST(NotebookFrameTest, Displays) {
  v1::DisplayData display;
  display.set_display_id(Text(128));
  display.set_is_update(true);
  EXPECT_TRUE(CheckDisplay(display).ok());
  display.set_display_id(Text(129));
  EXPECT_FALSE(CheckDisplay(display).ok());
  display.clear_display_id();
  EXPECT_EQ(CheckDisplay(display).message(), "an update of no display");
  display.set_is_update(false);
  *display.mutable_bundle() = BundleOf("", "x");
  EXPECT_FALSE(CheckDisplay(display).ok());
}

TEST(NotebookFrameTest, InputRequests) {
  v1::InputRequest request;
  EXPECT_FALSE(CheckInputRequest(request).ok());
  request.set_number(1);
  request.set_prompt(Text(16 << 10));
  EXPECT_TRUE(CheckInputRequest(request).ok());
  request.set_prompt(Text((16 << 10) + 1));
  EXPECT_FALSE(CheckInputRequest(request).ok());
}

TEST(NotebookFrameTest, Completions) {
  v1::CompleteRequest request;
  request.set_cursor(5);
  v1::CompleteResponse response;
  response.set_start(2);
  response.set_end(5);
  for (int i = 0; i < 500; ++i) response.add_completions()->set_text(Text(1024));
  EXPECT_TRUE(CheckCompleted(response, request).ok());
  for (const int start : {-1, 6}) {
    v1::CompleteResponse elsewhere = response;
    elsewhere.set_start(start);
    EXPECT_FALSE(CheckCompleted(elsewhere, request).ok()) << start;
  }
  v1::CompleteResponse other = response;
  other.set_end(6);
  EXPECT_FALSE(CheckCompleted(other, request).ok());
  other = response;
  other.mutable_completions(0)->set_text(Text(1025));
  EXPECT_FALSE(CheckCompleted(other, request).ok());
  other = response;
  other.mutable_completions(0)->set_kind(static_cast<v1::Completion::Kind>(99));
  EXPECT_FALSE(CheckCompleted(other, request).ok());
  response.add_completions();
  EXPECT_FALSE(CheckCompleted(response, request).ok());
}

TEST(NotebookFrameTest, Inspections) {
  v1::InspectResponse response;
  response.set_name(Text(1 << 10));
  response.set_type_name(Text(1 << 10));
  response.set_signature(Text(16 << 10));
  response.set_documentation(Text(64 << 10));
  response.set_source(Text(256 << 10));
  response.set_file(Text(4 << 10));
  response.set_value(Text(4 << 10));
  EXPECT_TRUE(CheckInspected(response).ok());
  for (const char* field :
       {"name", "type_name", "signature", "documentation", "source", "file", "value"}) {
    v1::InspectResponse longer = response;
    const auto* descriptor = longer.GetDescriptor()->FindFieldByName(field);
    const auto* reflection = longer.GetReflection();
    reflection->SetString(&longer, descriptor, reflection->GetString(longer, descriptor) + "x");
    EXPECT_FALSE(CheckInspected(longer).ok()) << field;
  }
  response.set_line(-1);
  EXPECT_FALSE(CheckInspected(response).ok());
}

TEST(NotebookFrameTest, StatesOfCode) {
  v1::CheckCompleteResponse response;
  EXPECT_FALSE(CheckChecked(response).ok());
  response.set_status(v1::CheckCompleteResponse::STATUS_INVALID);
  response.set_indent(Text(256));
  EXPECT_TRUE(CheckChecked(response).ok());
  response.set_indent(Text(257));
  EXPECT_FALSE(CheckChecked(response).ok());
  response.clear_indent();
  response.set_status(static_cast<v1::CheckCompleteResponse::Status>(7));
  EXPECT_FALSE(CheckChecked(response).ok());
}

TEST(NotebookFrameTest, Failures) {
  internal::v1::RequestFailed failed;
  failed.set_message(Text(4 << 10));
  EXPECT_TRUE(CheckRequestFailed(failed).ok());
  failed.set_message(Text((4 << 10) + 1));
  EXPECT_FALSE(CheckRequestFailed(failed).ok());
}

TEST(NotebookFrameTest, CellFramesAreChecked) {
  internal::v1::GuestFrame frame;
  *frame.mutable_display()->mutable_data()->mutable_bundle() = BundleOf("a/b", "x");
  EXPECT_TRUE(TakeCellEvent(frame).ok());
  EXPECT_TRUE(TakeLateFrame(frame).ok());
  *frame.mutable_display()->mutable_data()->mutable_bundle() = BundleOf("a b", "x");
  EXPECT_FALSE(TakeCellEvent(frame).ok());
  EXPECT_FALSE(TakeLateFrame(frame).ok());
  frame.mutable_input_request()->mutable_request()->set_number(0);
  EXPECT_FALSE(TakeCellEvent(frame).ok());
}

}  // namespace
}  // namespace cloister::sandbox
