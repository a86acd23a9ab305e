// What stands in a log about labels, beside what a plain model of its runs says at the same place:
// whose words a run had read until there, and so whose words the arguments of its calls are, what
// the rules of the shop had to say of them, and what goes from run to run.
//
// Shares nothing with the engine but the log's bytes and the keys of its payloads.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "audit/log.h"
#include "core/json.h"

namespace interlock::runtime::sim {

class Flows {
 public:
  // The plaintext of this payload of an entry; nullopt: it cannot be had.
  using Open = std::function<std::optional<std::string>(std::uint64_t index, int slot)>;
  explicit Flows(Open open) : open_(std::move(open)) {}

  // In the log's order.
  void Read(const audit::Entry& entry);
  const std::vector<std::string>& breaches() const { return breaches_; }
  // What was compared, by kind.
  const std::map<std::string, std::uint64_t>& seen() const { return seen_; }

 private:
  struct Label {
    bool trusted = true;
    std::set<std::string> sources{};
    std::set<std::string> tags{};
    std::set<std::string> readers{"*"};
    bool operator==(const Label&) const = default;
  };
  struct Text {
    std::string words;
    Label label;
    bool user = false;
  };
  struct Run {
    std::string agent{};
    std::string reader{};  // who may see what its tools give
    std::string above{};   // the call that started it
    std::vector<Text> texts{};
    Label all{};
  };
  struct Call {
    std::string run{};
    std::string tool{};
    std::string proposed{};
    std::string edited{};
    std::map<std::string, Label> labels{};  // of its arguments, as newly decided
    std::string outcome{};
    std::string error{};
    core::Json result{};
    bool flow_then = false;        // whether anything untrusted was read at its newest outcome
    std::optional<Label> ended{};  // of the run that it started
  };
  struct Shown {  // what the rules had to make of a result
    bool withheld = false;
    bool changed = false;
    Label label{};
  };

  static Label Join(const Label& a, const Label& b);
  static Label LabelFrom(const core::Json& json);
  static core::Json JsonOf(const Label& label);
  static bool Holds(std::string_view text, std::string_view words);
  static void Leaves(const core::Json& value, std::string& words);
  static Label LabelOf(const Run& run, const core::Json& leaf);
  static void Walk(const Run& run, const core::Json& value, const std::string& path,
                   std::map<std::string, Label>& labels);
  static Label OfModel(const Run& run);
  static Label OfArgument(const Call& call, const std::string& path);
  static Shown Judge(const Call& call, const Run& run);
  static void Take(Run& run, Text text);

  void Start(const audit::Entry& entry, const core::Json& body);
  void Message(const audit::Entry& entry, const core::Json& body);
  void ReadCall(const audit::Entry& entry, const core::Json& body);
  void Decide(const audit::Entry& entry, const core::Json& body, Call& call);
  void Obey(const audit::Entry& entry, const core::Json& body, const Call& call, const Run& run);
  void End(const audit::Entry& entry, const core::Json& body, Call& call);
  void Release(const audit::Entry& entry, const core::Json& body, const Call& call);
  void Answer(const audit::Entry& entry, const core::Json& body);

  std::string TextIn(const audit::Entry& entry, const core::Json& body, const char* field);
  core::Json JsonIn(const audit::Entry& entry, const core::Json& body, const char* field);
  void Compare(const audit::Entry& entry, const std::string& what, const core::Json& recorded,
               const core::Json& model);

  const Open open_;
  std::map<std::string, Run> runs_;
  std::map<std::string, Call> calls_;
  std::map<std::string, std::uint64_t> seen_;
  std::vector<std::string> breaches_;
};

}  // namespace interlock::runtime::sim
