// Exceptions that were told in words, made again for who called.

#include "service/rpc/remote_error.h"

#include <string>

#include "gtest/gtest.h"
#include "sandbox/clone/value.h"

namespace cloister::rpc {
namespace {

// Kind, arguments and, where there are any, attributes.
std::string Made(const std::string& type, const std::string& text,
                 const std::string& module = "builtins") {
  v1::Exception exception;
  exception.set_module(module);
  exception.set_type(type);
  exception.set_message(text);
  const auto value =
      sandbox::ValueFromClone(CloneOfException(exception), sandbox::kResultCloneLimits);
  EXPECT_TRUE(value.ok()) << value.status();
  const v1::Object& made = value->object_value();
  std::string told = made.kind() == v1::Object::KIND_EXCEPTION ? "" : "remote ";
  for (const v1::Value& argument : made.fields(1).tuple_value().items()) {
    told += argument.has_int_value() ? std::to_string(argument.int_value()) + ";"
                                     : argument.string_value() + ";";
  }
  for (const v1::Value& attribute : made.fields(2).dict_value().values()) {
    told += "filename=" + attribute.string_value();
  }
  return told;
}

TEST(RemoteErrorTest, ArgumentsAreWhatTheyWere) {
  EXPECT_EQ(Made("ValueError", "no such thing"), "no such thing;");
  EXPECT_EQ(Made("ValueError", ""), "");
  EXPECT_EQ(Made("ModuleNotFoundError", "No module named 'x'"), "No module named 'x';");
  EXPECT_EQ(Made("KeyError", "'a'"), "a;");
  EXPECT_EQ(Made("KeyError", "\"it's\""), "it's;");
  EXPECT_EQ(Made("KeyError", "7"), "7;");
}

TEST(RemoteErrorTest, ErrorsOfTheSystemKeepTheirNumberAndFile) {
  EXPECT_EQ(Made("FileNotFoundError", "[Errno 2] No such file or directory: '/x: y'"),
            "2;No such file or directory;filename=/x: y");
  EXPECT_EQ(Made("OSError", "[Errno 28] No space left on device"), "28;No space left on device;");
  EXPECT_EQ(Made("TimeoutError", "too late"), "too late;");
  EXPECT_EQ(Made("OSError", "[Errno x] odd"), "[Errno x] odd;");
}

TEST(RemoteErrorTest, WhatTextDoesNotTellIsRemote) {
  EXPECT_EQ(Made("KeyError", "(1, 2)"), "remote (1, 2);");
  EXPECT_EQ(Made("KeyError", R"('a\n')"), R"(remote 'a\n';)");
  EXPECT_EQ(Made("UnicodeDecodeError", "'utf-8' codec can't decode byte"),
            "remote 'utf-8' codec can't decode byte;");
  EXPECT_EQ(Made("StopIteration", "3"), "remote 3;");
  EXPECT_EQ(Made("ExceptionGroup", "two (2 sub-exceptions)"), "remote two (2 sub-exceptions);");
  EXPECT_EQ(Made("ValueError", "x", "other"), "remote x;");
}

}  // namespace
}  // namespace cloister::rpc
