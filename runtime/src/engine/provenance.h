// What the planner of a run has read, and whose words an argument is made of (rule 16).
//
// An argument keeps the origin of a trusted text only if the whole of it stands there as whole
// words, and nowhere in untrusted content that was read. Anything else was written by the model,
// which may have had all that it read in mind: it carries the join of all labels.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "policies/labels.h"

namespace interlock::runtime {

// Shorter spans of text are chance, unless the user wrote them.
inline constexpr std::size_t kSpanBytesMin = 8;
// Of texts that are kept to be compared with. What is read beyond that is joined to the label of
// what the model writes, and once untrusted content was among it no argument is trusted any more.
inline constexpr std::size_t kReadBytesMax = 4 * 1024 * 1024;

// Of one run; used by one thread at a time. Copies of what was read, one byte for a byte.
class Provenance {
 public:
  // A message of the run's user.
  void ReadUser(std::string_view text);
  // What the integrator set: trusted, source "session".
  void ReadSession(const core::Json& session);
  // What the planner was shown of a call of `tool`; `tags` are those that rules put on it.
  void ReadResult(std::string_view tool, const core::Json& result, bool trusted,
                  std::vector<std::string> tags);

  // Labels of every leaf of `args`, by path ("args.to.1.mail": the first of a list), and of empty
  // lists and objects.
  policies::LabelMap LabelsOf(const core::Json& args) const;
  // Whether anything untrusted was read.
  bool untrusted() const { return !context_.trusted; }

 private:
  struct Text {
    std::string words;  // the leaves of what was read, a line each
    policies::Label label;
    bool user = false;
  };
  void Read(Text text);
  policies::Label LabelOf(const core::Json& leaf) const;
  // Null: nobody's words but the model's.
  const policies::Label* OriginOf(std::string_view words, bool number) const;
  void Walk(const core::Json& value, std::string& path, policies::LabelMap& labels) const;

  std::vector<Text> texts_;
  std::size_t bytes_ = 0;
  bool forgot_untrusted_ = false;  // untrusted content beyond kReadBytesMax
  policies::Label context_{.trusted = true, .sources = {}, .tags = {}, .readers = {"*"}};
};

}  // namespace interlock::runtime
