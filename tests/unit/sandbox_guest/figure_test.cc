// Figures of Matplotlib, in an image that has it.

#include <gmock/gmock.h>

#include "tests/unit/sandbox_guest/display_test.h"

namespace cloister::sandbox {
namespace {

using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

class FigureTest : public DisplayTest {
 protected:
  void SetUp() override { ValueOf("import matplotlib.pyplot as plt"); }
};

TEST_F(FigureTest, FiguresAreShownWhenTheirCellEnds) {
  std::vector<v1::DisplayData> displays =
      DisplaysOf("plt.plot([1, 2]);\nplt.figure()\nplt.plot([3]);");
  ASSERT_THAT(displays, SizeIs(2));
  EXPECT_THAT(displays[0].bundle().data().at("image/png"), StartsWith("\x89PNG"));
  EXPECT_THAT(displays[0].bundle().data().at("text/plain"), StartsWith("<Figure size"));
  EXPECT_THAT(DisplaysOf("1"), IsEmpty()) << "they were closed";
  EXPECT_THAT(DisplaysOf("plt.figure();"), IsEmpty()) << "nothing is on it";
}

TEST_F(FigureTest, ShowShowsAtOnce) {
  const SessionAnswer answer = Execute("plt.plot([1])\nplt.show()\ndisplay('after')");
  ASSERT_THAT(answer.unasked, SizeIs(2)) << answer.error;
  EXPECT_EQ(answer.unasked[0].display().data().bundle().data().count("image/png"), 1u);
  EXPECT_EQ(answer.error, "");
}

TEST_F(FigureTest, FiguresAsValues) {
  const v1::MimeBundle bundle =
      BundleOf("from matplotlib.figure import Figure\nf = Figure()\nf.subplots().plot([1])\nf");
  EXPECT_THAT(bundle.data().at("image/png"), StartsWith("\x89PNG"));
}

TEST_F(FigureTest, FiguresOfACellThatRaisesAreShown) {
  const SessionAnswer answer = Execute("plt.plot([1])\n1/0");
  Raised(answer, "ZeroDivisionError");
  EXPECT_THAT(answer.unasked, SizeIs(1));
}

TEST_F(FigureTest, TheUsersBackEndIsLeftAlone) {
  EXPECT_THAT(DisplaysOf("plt.switch_backend('agg')\nplt.plot([1]);"), IsEmpty());
}

}  // namespace
}  // namespace cloister::sandbox
