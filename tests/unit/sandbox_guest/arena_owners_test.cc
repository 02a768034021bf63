// Objects that astray, a module of the harness, carries from one interpreter into another: what
// debug builds see of it, and what HomeRef does in all of them.

#include <gmock/gmock.h>

#include <string>

#include "tests/unit/sandbox_guest/interpreters_test.h"

namespace cloister::sandbox {
namespace {

using testing::HasSubstr;

class ArenaOwnersTest : public FurtherInterpreterTest {
 protected:
  // What the process says when `other` finds what `owner` left.
  std::string Touch(SessionClient& owner, SessionClient& other, const std::string& left) {
    owner.Execute("import astray; astray.leave(" + left + ")");
    internal::v1::ExecuteCell cell;
    cell.mutable_program()->set_code("import astray; found = astray.find()");
    other.SendCell(cell);
    other.AwaitFirst();
    return process().TakeOutput();
  }
};

TEST_F(ArenaOwnersTest, AnotherInterpretersObjectEndsTheProcess) {
  const auto one = process().Create();
  const auto two = process().Create();
  EXPECT_THAT(Touch(*one, *two, "[1]"),
              testing::ContainsRegex("an object at 0x[0-9a-f]+ of interpreter [0-9]+ is touched in "
                                     "interpreter [0-9]+"));
}

TEST_F(ArenaOwnersTest, MainsObjectsAreNotThoseOfAnIsolatedOne) {
  const auto shared = process().Create(process().Request(internal::v1::GIL_PROFILE_SHARED_GIL));
  const auto isolated = process().Create();
  EXPECT_THAT(Touch(*shared, *isolated, "[1]"), HasSubstr("of interpreter 0 is touched"));
}

TEST_F(ArenaOwnersTest, OnesOwnAndEverybodysPass) {
  const auto one = process().Create();
  const auto two = process().Create();
  EXPECT_EQ(Touch(*one, *one, "[1]"), "");
  EXPECT_EQ(Touch(*one, *two, "None"), "") << "static";
  EXPECT_EQ(ValueOf(*two, "found"), "");
}

// ---- HomeRef, which checks in every build -------------------------------------------------------

class HomeRefTest : public FurtherInterpreterTest {
 protected:
  std::string Run(SessionClient& interpreter, const std::string& code) {
    internal::v1::ExecuteCell cell;
    cell.mutable_program()->set_code("import astray; " + code);
    interpreter.SendCell(cell);
    const SessionAnswer answer = interpreter.AwaitFirst();
    return answer.frame.has_finished() ? answer.output : process().TakeOutput();
  }
};

TEST_F(HomeRefTest, GivesItsObjectAtHome) {
  const auto one = process().Create();
  Run(*one, "astray.keep(['mine'])");
  EXPECT_EQ(Run(*one, "print(astray.look())"), "['mine']\n");
}

TEST_F(HomeRefTest, AStrangerEndsTheProcess) {
  const auto one = process().Create();
  const auto two = process().Create();
  Run(*one, "astray.keep(['mine'])");
  EXPECT_THAT(
      Run(*two, "astray.look()"),
      testing::ContainsRegex("an object of interpreter [0-9]+ is touched in interpreter [0-9]+"));
}

TEST_F(HomeRefTest, WhoDropsItElsewhereEndsTheProcess) {
  const auto one = process().Create();
  const auto two = process().Create();
  Run(*one, "astray.keep(['mine'])");
  EXPECT_THAT(Run(*two, "astray.keep(1)"), HasSubstr("is touched in interpreter"));
}

TEST_F(HomeRefTest, AThreadWithoutGilEndsTheProcess) {
  const auto one = process().Create();
  EXPECT_THAT(Run(*one, "astray.keep(1); astray.look_without_gil()"),
              HasSubstr("by a thread that has no GIL"));
}

}  // namespace
}  // namespace cloister::sandbox
