// Values and displays in all their forms.

#include <gmock/gmock.h>

#include "tests/unit/sandbox_guest/display_test.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using testing::StartsWith;
using testing::UnorderedElementsAre;

TEST_F(DisplayTest, PlainValuesHaveTheirText) {
  EXPECT_THAT(BundleOf("{'a': [1, 2]}").data(), ElementsAre(Pair("text/plain", "{'a': [1, 2]}")));
  EXPECT_EQ(answer_.finished().value().type_name(), "dict");
  EXPECT_FALSE(session().ExecuteForBundle("x = 1").finished().has_value());
}

TEST_F(DisplayTest, MethodsGiveForms) {
  const v1::MimeBundle bundle =
      BundleOf("class R:\n"
               "  def __repr__(self): return 'plain'\n"
               "  def _repr_html_(self): return '<b>h\xc3\xa9</b>'\n"
               "  def _repr_png_(self): return b'\\x89PNG', {'width': 3}\n"
               "  def _repr_svg_(self): return None\n"
               "  def _repr_json_(self): return {'a': [1]}\n"
               "R()");
  EXPECT_THAT(bundle.data(),
              UnorderedElementsAre(Pair("text/plain", "plain"), Pair("text/html", "<b>h\xc3\xa9</b>"),
                                   Pair("image/png", "\x89PNG"),
                                   Pair("application/json", "{\"a\": [1]}")));
  EXPECT_EQ(bundle.metadata_json(), "{\"image/png\": {\"width\": 3}}");
}

TEST_F(DisplayTest, WholeBundlesGoFirst) {
  const v1::MimeBundle bundle =
      BundleOf("class R:\n"
               "  def _repr_mimebundle_(self, include=None, exclude=None):\n"
               "    return {'text/plain': 'p', 'image/png': 'iVBORw==', 5: 'x',\n"
               "            'application/vnd.x+json': {'k': 1}}, {'isolated': True}\n"
               "  def _repr_html_(self): return 'also'\n"
               "R()");
  EXPECT_THAT(bundle.data(),
              UnorderedElementsAre(Pair("text/plain", "p"), Pair("image/png", "\x89PNG"),
                                   Pair("application/vnd.x+json", "{\"k\": 1}"),
                                   Pair("text/html", "also")));
  EXPECT_EQ(bundle.metadata_json(), "{\"isolated\": true}");
}

TEST_F(DisplayTest, FaultyMethodsAreShownAndLeftOut) {
  const v1::MimeBundle bundle =
      BundleOf("class R:\n"
               "  def __repr__(self): return 'plain'\n"
               "  def _repr_html_(self): raise ValueError('no html')\n"
               "  def _repr_png_(self): return 5\n"
               "  def _repr_latex_(self): raise NotImplementedError\n"
               "R()");
  EXPECT_THAT(bundle.data(), ElementsAre(Pair("text/plain", "plain")));
  ASSERT_THAT(bundle.omitted(), SizeIs(2));
  EXPECT_EQ(bundle.omitted(0).mime_type(), "text/html");
  EXPECT_THAT(answer_.error, StartsWith("Traceback (most recent call last):\n  File \"<cell 1>\", "
                                        "line 3, in _repr_html_\n"));
  EXPECT_THAT(answer_.error, HasSubstr("TypeError: image/png is to be str or bytes, not int"));
}

TEST_F(DisplayTest, FaultyReprLeavesTheOtherForms) {
  const v1::MimeBundle bundle = BundleOf(
      "class R:\n  def __repr__(self): raise OSError\n  def _repr_html_(self): return 'h'\nR()");
  EXPECT_THAT(bundle.data(), ElementsAre(Pair("text/html", "h")));
  EXPECT_THAT(BundleOf("class Q:\n  def __repr__(self): raise OSError\nQ()").data(), IsEmpty());
  EXPECT_EQ(answer_.finished().value().bundle().omitted(0).mime_type(), "text/plain");
}

TEST_F(DisplayTest, ObjectsThatAnswerToEverythingHaveNoForms) {
  EXPECT_THAT(BundleOf("from unittest import mock\nmock.Mock()").data(), SizeIs(1));
  EXPECT_THAT(BundleOf("class A:\n  def __getattr__(self, n): return lambda *a, **k: n\nA()").data(),
              SizeIs(1));
  EXPECT_THAT(BundleOf("class C:\n  def _repr_html_(self): return 'x'\nC").data(), SizeIs(1));
}

TEST_F(DisplayTest, FormsAreBounded) {
  v1::MimeBundle bundle =
      BundleOf("class R:\n"
               "  def __repr__(self): return 'p' * (5 << 20)\n"
               "  def _repr_html_(self): return 'h' * (9 << 20)\n"
               "  def _repr_png_(self): return b'p' * (8 << 20)\n"
               "  def _repr_jpeg_(self): return b'p' * (8 << 20)\n"
               "R()");
  EXPECT_EQ(bundle.data().at("image/png").size(), size_t{8} << 20);
  EXPECT_EQ(bundle.data().count("text/html"), 0u);
  ASSERT_THAT(bundle.omitted(), SizeIs(2));
  EXPECT_EQ(bundle.omitted(0).size_bytes(), 9 << 20);
  EXPECT_EQ(BundleOf("'x' * (3 << 20)").data().at("text/plain").size(), size_t{1} << 20);
  bundle = BundleOf(
      "class M:\n  def _repr_mimebundle_(self, **k): return {f'a/{i}': 'x' for i in range(100)}, "
      "{'m': 'x' * 100000}\nM()");
  EXPECT_EQ(bundle.data_size(), 32);
  EXPECT_EQ(bundle.omitted_size(), 32);
  EXPECT_EQ(bundle.metadata_json(), "");
  bundle = BundleOf(
      "class B:\n  def _repr_mimebundle_(self, **k): return {'': 'x', 'a b': 'x', 'x' * 200: 'x', "
      "'\\u00e9/x': 'y'}\nB()");
  EXPECT_THAT(bundle.data(), SizeIs(1));
}

TEST_F(DisplayTest, DisplayShowsAtOnce) {
  const std::vector<v1::DisplayData> displays =
      DisplaysOf("display(1, 'two')\nfrom cloister import HTML\ndisplay(HTML('<b>'))");
  ASSERT_THAT(displays, SizeIs(3));
  EXPECT_THAT(displays[0].bundle().data(), ElementsAre(Pair("text/plain", "1")));
  EXPECT_THAT(displays[1].bundle().data(), ElementsAre(Pair("text/plain", "'two'")));
  EXPECT_EQ(displays[2].bundle().data().at("text/html"), "<b>");
  EXPECT_EQ(displays[0].display_id(), "");
}

TEST_F(DisplayTest, DisplaysCanBeUpdated) {
  const std::vector<v1::DisplayData> displays =
      DisplaysOf("h = display('a', display_id='bar')\nh.update('b')\n"
                 "from cloister import *\nupdate_display('c', display_id='bar')\n"
                 "g = display('d', display_id=True)\nassert g.display_id != h.display_id");
  ASSERT_THAT(displays, SizeIs(4));
  EXPECT_EQ(displays[0].display_id(), "bar");
  EXPECT_FALSE(displays[0].is_update());
  EXPECT_TRUE(displays[1].is_update());
  EXPECT_EQ(displays[2].bundle().data().at("text/plain"), "'c'");
  EXPECT_THAT(displays[3].display_id(), SizeIs(32));
  Raised(Execute("display(1, display_id='x' * 200)"), "ValueError");
  Raised(Execute("display(1, display_id=5)"), "TypeError");
}

TEST_F(DisplayTest, RawBundles) {
  const std::vector<v1::DisplayData> displays = DisplaysOf(
      "display({'text/html': '<i>', 'image/png': b'\\x89'}, raw=True, metadata={'a': 1})\n"
      "display(5, metadata={'b': 2})");
  EXPECT_THAT(displays[0].bundle().data(),
              UnorderedElementsAre(Pair("text/html", "<i>"), Pair("image/png", "\x89")));
  EXPECT_EQ(displays[0].bundle().metadata_json(), "{\"a\": 1}");
  EXPECT_EQ(displays[1].bundle().metadata_json(), "{\"b\": 2}");
  Raised(Execute("display(5, raw=True)"), "TypeError");
}

TEST_F(DisplayTest, OutputIsCleared) {
  const SessionAnswer answer = Execute(
      "from cloister import clear_output\nclear_output()\nclear_output(wait=True)\ndisplay(1, "
      "clear=True)");
  ASSERT_THAT(answer.unasked, SizeIs(4));
  EXPECT_FALSE(answer.unasked[0].clear_output().clear_output().wait());
  EXPECT_TRUE(answer.unasked[1].clear_output().clear_output().wait());
  EXPECT_TRUE(answer.unasked[2].clear_output().clear_output().wait());
  EXPECT_EQ(answer.unasked[0].clear_output().cell(), 1);
}

TEST_F(DisplayTest, LargeDisplaysWaitForTheReader) {
  const std::vector<v1::DisplayData> displays =
      DisplaysOf("for i in range(5): display({'a/b': bytes(4 << 20)}, raw=True)");
  ASSERT_THAT(displays, SizeIs(5));
  EXPECT_EQ(displays[4].bundle().data().at("a/b").size(), size_t{4} << 20);
}

TEST_F(DisplayTest, ThreadsMayDisplay) {
  answer_ = Execute(
      "import threading\n"
      "def show(n):\n  for i in range(50): display({'a/b': str(n) * 1000}, raw=True)\n"
      "threads = [threading.Thread(target=show, args=(n,)) for n in range(8)]\n"
      "for t in threads: t.start()\n"
      "for t in threads: t.join()");
  EXPECT_THAT(answer_.unasked, SizeIs(400));
}

TEST_F(DisplayTest, ForksDisplayNothing) {
  EXPECT_THAT(DisplaysOf("import os\npid = os.fork()\nif pid == 0: display(1)\n"
                         "else: os.waitpid(pid, 0)"),
              IsEmpty());
}

TEST_F(DisplayTest, ModuleIsHarmlessInPrograms) {
  const GuestRun run = Run(
      "import cloister, sys\nfrom cloister import display, clear_output, HTML\n"
      "display('a', HTML('<b>'), display_id='x').update(5)\nclear_output()\n"
      "class R:\n  def __repr__(self): return 'r'\n  def _repr_html_(self): return 'h'\n"
      "display(R())\nprint(cloister.__name__, cloister.display.__module__)");
  ExpectSucceeded(run);
  EXPECT_EQ(run.output, "'a'\n<HTML object>\n5\nr\ncloister cloister\n");
  EXPECT_EQ(run.error, "");
}

TEST_F(DisplayTest, PicturesFromBytesAndFiles) {
  EXPECT_EQ(BundleOf("from cloister import *\nImage(b'\\x89PNG\\r\\n\\x1a\\nrest', width=5)")
                .metadata_json(),
            "{\"image/png\": {\"width\": 5}}");
  EXPECT_EQ(BundleOf("open('a.gif', 'wb').write(b'GIF89a')\nImage(filename='a.gif')")
                .data()
                .count("image/gif"),
            1u);
  Raised(Execute("Image(b'what')"), "ValueError");
}

}  // namespace
}  // namespace cloister::sandbox
