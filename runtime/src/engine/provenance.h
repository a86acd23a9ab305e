// What the planner of a run has read, and whose words an argument is made of (rule 16).
//
// An argument keeps the origin of a trusted text only if the whole of it stands there as whole
// words, and nowhere in untrusted content that was read. Anything else was written by the model,
// which may have had all that it read in mind: it carries the join of all labels.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "policies/decision.h"
#include "policies/labels.h"

namespace interlock::runtime {

// Shorter spans of text are chance, unless the user wrote them.
inline constexpr std::size_t kSpanBytesMin = 8;
// Of texts that are kept to be compared with. What is read beyond that is joined to the label of
// what the model writes, and once untrusted content was among it no argument is trusted any more.
inline constexpr std::size_t kReadBytesMax = 4 * 1024 * 1024;

inline constexpr std::size_t kHandleBytesMax = 512;
// A tag "reader:maria" of a rule names who may see a value; "reader:*": everybody.
inline constexpr std::string_view kReaderTag = "reader:";

// A message as the planner may read it.
struct MessageWords {
  std::string_view from;  // "user" or "operator"
  std::string_view text;
  bool untrusted = false;                 // a rule said so, or it came so
  std::vector<std::string> tags;          // that rules put on it, or it came with
  std::vector<std::string> sources{};     // whose words an agent passed on
  std::vector<std::string> readers{"*"};  // who may see it
};

// What rules and the manifest say of a result, "result" being the whole of it.
struct ResultLabel {
  bool trusted = false;  // by its tool
  std::vector<std::string> readers;
  std::vector<policies::LabelChange> changes;  // by rules, of it or of parts of it
  std::vector<std::string> sources{};          // whose words it passes on, beside its tool's
};

// A result that may be named without being read: what stands there, and its label.
struct HandledValue {
  core::Json value;
  policies::Label label;
};

// A part of a held result. Borrows from where it is held.
struct HeldPart {
  const core::Json* value = nullptr;
  std::string_view tool;  // whose result it is
  policies::Label label;
};

// Labels of arguments that were named and not written, by path ("args.to").
using HandleLabels = std::map<std::string, policies::Label, std::less<>>;

// How much was read.
struct ReadCount {
  std::int64_t messages = 0;  // those that were withheld, too
  std::int64_t results = 0;   // each time when one was shown or held
  bool operator==(const ReadCount&) const = default;
};

// Of what is made of the arguments of a call whose rules said this of them: a note, what an agent
// is told. Who may read it does not grow.
policies::Label WithSaid(policies::Label label, const std::vector<policies::LabelChange>& said);

// Of one run; used by one thread at a time. Copies of what was read, one byte for a byte.
class Provenance {
 public:
  void ReadMessage(const MessageWords& message);
  // A message of which the planner is told only that it came.
  void PassOverMessage() { ++count_.messages; }
  // What the integrator set: trusted, source "session".
  void ReadSession(const core::Json& session);
  // What the planner was shown of a call of `tool`.
  void ReadResult(std::string_view tool, const core::Json& result, const ResultLabel& label);
  // What it may name and was not shown. Results get names "r1", "r2", … in the order of this.
  void HoldResult(std::string_view tool, core::Json result, ResultLabel label);
  std::size_t held() const { return held_.size(); }
  // "r3.items[0].email". Errors: kInvalidArgument, one line for the planner.
  core::StatusOr<HandledValue> At(std::string_view handle) const;
  // What stands at a JSON pointer (RFC 6901) into the result "r3". Errors: as above.
  core::StatusOr<HeldPart> PartOf(std::string_view name, std::string_view pointer) const;

  // Labels of every leaf of `args`, by path ("args.to.1.mail": the first of a list), and of empty
  // lists and objects.
  policies::LabelMap LabelsOf(const core::Json& args, const HandleLabels& handles = {}) const;
  // Of what the model writes by itself: the join of all that it has read.
  policies::Label ModelLabel() const;
  // Whether anything untrusted was read.
  bool untrusted() const { return !context_.trusted; }
  const ReadCount& count() const { return count_; }

 private:
  struct Text {
    std::string words;  // the leaves of what was read, a line each
    policies::Label label;
    bool user = false;
  };
  struct Held {
    std::string tool;
    core::Json value;
    ResultLabel label;
  };
  void Read(Text text);
  const Held* HeldAs(std::string_view& left) const;
  policies::Label LabelOf(const core::Json& leaf) const;
  // Null: nobody's words but the model's.
  const policies::Label* OriginOf(std::string_view words, bool number) const;
  void Walk(const core::Json& value, std::string& path, const HandleLabels& handles,
            policies::LabelMap& labels) const;

  std::vector<Text> texts_;
  std::vector<Held> held_;
  std::size_t bytes_ = 0;
  ReadCount count_;
  bool forgot_untrusted_ = false;  // untrusted content beyond kReadBytesMax
  policies::Label context_{.trusted = true, .sources = {}, .tags = {}, .readers = {"*"}};
};

}  // namespace interlock::runtime
