// Channels that an interpreter finds by their names: what it asks of its host, and what it makes of
// the answer.

#include <optional>

#include "tests/unit/sandbox_guest/messages_test.h"

namespace cloister::sandbox {
namespace {

class NamedChannelTest : public MessageTest {};

TEST_F(NamedChannelTest, IsFoundByItsName) {
  host().answer = [](const internal::v1::MailboxRequest& request) {
    internal::v1::MailboxReply reply;
    if (request.remove_channel().name() == "jobs") {
      reply.mutable_done();
    } else {
      reply.mutable_failure()->set_reason(internal::v1::MailboxFailure::REASON_NOT_FOUND);
      reply.mutable_failure()->set_message("there is none");
    }
    return std::make_optional(reply);
  };
  ExpectPrints(
      "import cloister\n"
      "jobs = cloister.Channel(2, name='jobs')\n"
      "again = cloister.Channel(name='jobs', capacity=2)\n"
      "jobs.put('one')\n"
      "print(again.maxsize, again.qsize(), again.get(), jobs.qsize())\n"
      "jobs.put('two')\n"
      "jobs.close()\n"
      "again.close()\n"
      "with cloister.Channel(2, 'jobs') as third: print(third.get_nowait(), third.empty())\n"
      "print(cloister.Channel(name='other').maxsize, cloister.Channel(None, 'other').maxsize)\n"
      "cloister.remove_channel('jobs')",
      "2 1 one 0\ntwo True\n0 0\n");
  Raised(Execute("cloister.remove_channel('none')"), "LookupError");
  Raised(Execute("cloister.remove_channel(3)"), "TypeError");
  Raised(Execute("cloister.Channel(None)"), "TypeError");
  Raised(Execute("cloister.Channel(name='a\\0b')"), "ValueError");
  Raised(Execute("cloister.Channel(name='\\ud800')"), "UnicodeEncodeError");
}

}  // namespace
}  // namespace cloister::sandbox
