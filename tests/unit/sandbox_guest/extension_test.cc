// A type of an extension module that was compiled against cloister_clone.h goes through messages.

#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "tests/unit/sandbox_guest/interpreters_test.h"
#include "tests/unit/sandbox_guest/messages_test.h"
#include "tests/unit/sandbox_guest/pretended_sandbox.h"

namespace cloister::sandbox {
namespace {

// The image's file system has it not: each test brings it along.
std::string Import() {
  std::ifstream file(GUEST_TEST_EXTENSION, std::ios::binary);
  EXPECT_TRUE(file.good()) << GUEST_TEST_EXTENSION;
  std::stringstream bytes;
  bytes << file.rdbuf();
  return absl::StrCat("import cloister, os, sys, base64\nCONTENT = '",
                      absl::Base64Escape(bytes.str()),
                      "'\nif not os.path.exists('/tmp/cloister_tiny.so'):\n"
                      "    with open('/tmp/cloister_tiny.so', 'wb') as file:\n"
                      "        file.write(base64.b64decode(CONTENT))\n"
                      "sys.path.append('/tmp')\nimport cloister_tiny\n"
                      "def fails(function, *arguments):\n"
                      "    try: return function(*arguments)\n"
                      "    except Exception as exc: return f'{type(exc).__name__}: {exc}'\n");
}

class ExtensionTest : public MessageTest {};

TEST_F(ExtensionTest, ATypeGoesThroughAChannel) {
  ExpectPrints(Import() +
                   "channel = cloister.Channel()\n"
                   "point = cloister_tiny.Point(1, 2.5)\n"
                   "channel.put({'a': [point, point]})\n"
                   "a, b = channel.get()['a']\n"
                   "print(a, a is b, a is point)",
               "Point(1.0, 2.5) True False\n");
}

TEST_F(ExtensionTest, CodeInCMakesAndReadsClones) {
  ExpectPrints(Import() +
                   "print(cloister_tiny.round([1, 'two', cloister_tiny.Point(3, 4)]))\n"
                   "print(cloister_tiny.round(sys))",
               "[1, 'two', Point(3.0, 4.0)]\ncannot be cloned\n");
}

TEST_F(ExtensionTest, WhatHooksDoWronglyIsAnError) {
  ExpectPrints(Import() +
                   "class Other: pass\n"
                   "cloister_tiny.register(Other)\n"
                   "print(fails(cloister_tiny.register, int))\n"
                   "print(fails(cloister.clone, cloister_tiny.Point(-1, 0)))\n"
                   "clone = cloister._encode_clone(cloister_tiny.Point(1, 2))\n"
                   "print(fails(cloister._decode_clone, clone.replace(b'\\x10\\x02\\x09', "
                   "b'\\x11\\x02\\x09')))",
               "TypeError: int is cloned in its own way\n"
               "SystemError: a clone hook failed without an exception\n"
               "ValueError: no state of a point\n");
}

class ExtensionInInterpretersTest : public FurtherInterpreterTest {};

TEST_F(ExtensionInInterpretersTest, ATypeGoesToAnotherInterpreter) {
  PretendedSandbox sandbox(&process());
  GuestInterpreter& one = sandbox.Add("one");
  GuestInterpreter& two = sandbox.Add("two");
  ValueOf(two, Import() + "cloister.inbox.empty()");
  ValueOf(one, Import() + "cloister.post(cloister_tiny.Point(6, 7), to='two')");
  EXPECT_EQ(ValueOf(two,
                    "point = cloister.inbox.get(timeout=20)\n"
                    "point, type(point) is cloister_tiny.Point"),
            "(Point(6.0, 7.0), True)");
  GuestInterpreter& three = sandbox.Add("three");
  ValueOf(three, "import cloister\ncloister.inbox.empty()");
  ValueOf(one, "cloister.post(cloister_tiny.Point(6, 7), to='three')");
  EXPECT_THAT(ValueOf(three,
                      "try: cloister.inbox.get(timeout=20)\n"
                      "except cloister.DataCloneError as exc: found = str(exc)\nfound"),
              testing::HasSubstr("cloister_tiny"));
  // Its types and functions go with it.
  sandbox.End("one");
  EXPECT_EQ(ValueOf(two, "cloister.clone(point)"), "Point(6.0, 7.0)");
}

}  // namespace
}  // namespace cloister::sandbox
