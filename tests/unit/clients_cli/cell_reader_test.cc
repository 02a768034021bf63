#include "clients/cli/commands/cell_reader.h"

#include "gtest/gtest.h"

namespace cloister::cli {
namespace {

struct Input {
  const char* code;
  bool is_whole;
};
class CellReaderTest : public ::testing::TestWithParam<Input> {};

TEST_P(CellReaderTest, KnowsWhetherTheInputIsWhole) {
  EXPECT_EQ(IsWholeInput(GetParam().code), GetParam().is_whole) << GetParam().code;
}

INSTANTIATE_TEST_SUITE_P(
    All, CellReaderTest,
    ::testing::Values(Input{"", true}, Input{"\n", true}, Input{"x = 1\n", true},
                      Input{"f(\n", false}, Input{"f(\n1)\n", true}, Input{"x = [1,\n", false},
                      Input{"s = '''a\n", false}, Input{"s = '''a\nb'''\n", true},
                      Input{"s = '('\n", true}, Input{"s = '\\'('\n", true},
                      Input{"x = 1  # (\n", true}, Input{"x = \\\n", false},
                      Input{"def f():\n", false}, Input{"def f():\n  return 1\n", false},
                      Input{"def f():\n  return 1\n\n", true}, Input{"@cache\n", false},
                      Input{"if x: pass\n", true}, Input{"s = 'open\n", true},
                      Input{"d = {1: 2}\n", true}, Input{")\n", true}));

}  // namespace
}  // namespace cloister::cli
