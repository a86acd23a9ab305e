#include "injection.h"

#include <re2/re2.h>

#include <string>

#include "core/check.h"

namespace interlock::policies::detect {
namespace {

constexpr std::size_t kWindow = 192;              // bytes that one phrase may take
constexpr std::int64_t kMemoryMax = 1024 * 1024;  // of one expression's automaton

// What may stand first, and how the phrase goes on from there. Letters of either case; one space of
// the expression is any blanks.
struct Phrase {
  std::string_view kind;
  Confidence confidence;
  std::vector<std::string_view> begins;
  std::string expression;
};

// "all of the previous", in any order and number up to six.
constexpr char kWhich[] =
    "(?:(?:all|any|every|each|of|the|your|my|our|this|these|those|that|previous|prior|above|"
    "earlier|"
    "preceding|foregoing|former|past|original|initial|existing|system|safety|security|other|and|"
    "everything|developer|user|given|current|content|ethical) ){1,7}";
constexpr char kOrders[] =
    "(?:instructions?|prompts?|rules|directions|directives|guidelines|commands?|training|"
    "programming|"
    "constraints|restrictions|safeguards|filters|policies|policy|guardrails)\\b";

void AddOverrides(std::vector<Phrase>& all) {
  const std::string which = kWhich;
  const std::string orders = kOrders;
  all.push_back({"override_instructions",
                 Confidence::kHigh,
                 {"ignor", "disregard", "forget", "overrid", "bypass", "circumvent", "neglect"},
                 "(?:ignor(?:e|ing)|disregard(?:ing)?|forget|overrid(?:e|ing)|bypass(?:ing)?|"
                 "circumvent|neglect)"
                 "(?: about)? " +
                     which + orders});
  all.push_back(
      {"override_instructions",
       Confidence::kHigh,
       {"ignore", "disregard", "forget"},
       "\\w+ (?:all|everything)(?: that)?(?: (?:was|is|you were|you have been|you've been))? "
       "(?:said |told |written |stated )?(?:above|before this|previously|so far|until now)\\b"});
  all.push_back({"override_instructions",
                 Confidence::kHigh,
                 {"do not follow", "don't follow", "stop following"},
                 "\\w+(?:['n]t)?(?: \\w+)? " + which + orders});
  all.push_back(
      {"override_instructions",
       Confidence::kHigh,
       {"strictly adhere", "strictly follow"},
       "strictly (?:adhere to|follow) the following (?:instructions?|orders?|commands?)"});
  all.push_back(
      {"override_instructions",
       Confidence::kHigh,
       {"ignor", "vergiss", "missachte"},
       "\\w+(?:en sie)? (?:alle |die |deine |ihre |sämtliche |bisherigen |vorherigen |"
       "vorigen |obigen |früheren ){1,4}(?:anweisungen|instruktionen|regeln|vorgaben|befehle)"});
  all.push_back(
      {"override_instructions",
       Confidence::kHigh,
       {"ignor", "oublie"},
       "\\w+ (?:toutes |tout |les |tes |vos |ces ){1,3}(?:instructions|consignes|règles|directives)"
       "(?: (?:précédentes|antérieures|ci-dessus))?"});
  all.push_back({"override_instructions",
                 Confidence::kHigh,
                 {"ignor", "olvid", "esquec"},
                 "\\w+ (?:todas |as |las |los |tus |sus |suas |estas |essas |anteriores ){1,4}"
                 "(?:instrucciones|instruções|reglas|regras|órdenes|indicaciones)"});
  all.push_back(
      {"override_instructions",
       Confidence::kHigh,
       {"ignora", "dimentica"},
       "\\w+ (?:tutte |le |tue |sue |queste |precedenti ){1,4}(?:istruzioni|regole|direttive)"});
  all.push_back({"override_instructions",
                 Confidence::kHigh,
                 {"忽略", "无视", "忘记", "忽視"},
                 "(?:忽略|无视|忘记|忽視)(?:你)?(?:所有|之前|以上|先前|前面|上述|的|全部|一切){1,5}"
                 "(?:指令|指示|提示|命令|规则|說明|说明)"});
  all.push_back(
      {"override_instructions",
       Confidence::kHigh,
       {"Игнорируй", "игнорируй", "Забудь", "забудь"},
       "(?:И|и|З|з)[^ ]+ (?:все |всё |предыдущие |прежние |свои |эти |вышеуказанные ){1,4}"
       "(?:инструкции|указания|правила|команды)"});
  all.push_back({"override_instructions",
                 Confidence::kHigh,
                 {"以前の", "これまでの", "上記の"},
                 "(?:以前の|これまでの|上記の)(?:すべての|全ての)?(?:指示|命令|プロンプト)(?:を|は)"
                 "(?:すべて|全て)?無視"});
}

void AddTakeovers(std::vector<Phrase>& all) {
  all.push_back({"new_instructions",
                 Confidence::kMedium,
                 {"new instruction", "updated instruction", "new system", "your new", "your real",
                  "your actual", "your only"},
                 "(?:(?:new|updated) (?:system )?(?:instructions?|prompt) ?:|"
                 "your (?:new|real|actual|only) (?:task|goal|objective|instructions?|purpose|role) "
                 "(?:is|are)\\b)"});
  all.push_back(
      {"new_instructions",
       Confidence::kMedium,
       {"from now on"},
       "from now on,? (?:you (?:will|must|are|should|shall) (?:only |always |never |not )?"
       "(?:act|respond|answer|obey|follow|ignore|be|behave|pretend|a|an|the)\\b|"
       "(?:ignore|obey|act|pretend|respond)\\b)"});
  all.push_back({"role_play",
                 Confidence::kMedium,
                 {"you are now", "you are no longer", "pretend"},
                 "(?:you are (?:now|no longer)|pretend (?:to be|that you are|you are)) (?:in "
                 ")?(?:a |an |the |bound |"
                 "my |your )?(?:[\\w-]+ "
                 "){0,2}(?:dan\\b|ai\\b|assistant|model|chatbot|bot\\b|hacker|unrestricted|"
                 "unfiltered|jailbroken|by (?:any|your|the) (?:rules|guidelines|polic)|developer "
                 "mode|god mode|"
                 "debug mode|admin mode|maintenance mode)"});
  all.push_back({"role_play", Confidence::kHigh, {"do anything now"}, "do anything now"});
  all.push_back({"role_play",
                 Confidence::kMedium,
                 {"act as", "respond as", "behave as"},
                 "(?:act|respond|behave) as (?:if you (?:were|are|had) )?(?:a |an "
                 ")?(?:dan\\b|(?:an? )?(?:unrestricted|"
                 "unfiltered|uncensored|jailbroken|amoral|evil)|no "
                 "(?:restrictions|rules|filters|guidelines))"});
  all.push_back(
      {"task_hijack",
       Confidence::kMedium,
       {"before you", "before doing", "before answering", "before completing", "before solving"},
       "before (?:you )?(?:can )?(?:solv|complet|do|answer|perform|finish|continu|proceed)\\w* "
       "(?:with )?"
       "(?:the|this|that|your|my|any|anything)? "
       "?(?:task|request|query|question|user|prompt|anything)"
       ".{0,60}\\b(?:you (?:must|should|have to|need to|will)|please|first|do the following)\\b"});
  all.push_back(
      {"false_authority",
       Confidence::kMedium,
       {"important message from", "message from the system", "message from your developer",
        "message from the developer", "message from the admin"},
       "(?:this is an )?(?:important )?message from (?:me|your (?:creator|owner|developer|admin)|"
       "the (?:system|developer|admin|user|real user|owner))"});
  all.push_back({"false_authority",
                 Confidence::kMedium,
                 {"the user has", "user has already", "already authorized", "already approved"},
                 "(?:(?:the )?user has (?:already )?|already "
                 ")(?:pre-?)?(?:authori[sz]ed|approved|consented to|granted)"
                 " (?:this|the|all|any|these|you)\\b"});
  all.push_back(
      {"ai_addressed",
       Confidence::kMedium,
       {"attention", "note to", "dear ai", "dear assistant", "hey ai", "hello ai", "message to",
        "instructions for", "instruction for", "notice to"},
       "(?:attention|note to|dear|hey|hello|message to|instructions? for|notice to),? (?:all |any "
       "|the |every )?"
       "(?:ai|a\\.i\\.|llms?|language models?|chatbots?|ai[ -]\\w+|assistant|virtual assistant)"
       "(?: assistants?| agents?| models?| systems?)?(?:\\b)(?: ?[:,!.]| "
       "(?:reading|processing|who|that|you)\\b)"});
}

void AddTheft(std::vector<Phrase>& all) {
  all.push_back(
      {"prompt_leak",
       Confidence::kHigh,
       {"reveal", "print", "show", "repeat", "output", "display", "tell me", "give me", "leak",
        "disclose", "what is your", "what are your", "recite", "dump"},
       "(?:what (?:is|are)|\\w+(?: me)?)(?: "
       "(?:all|of|the|your|my|me|us|to|full|entire|exact|complete|"
       "verbatim|contents?|text|hidden|secret|internal|original|initial|above|confidential)){1,7} "
       "(?:system (?:prompt|message|instructions?)|initial (?:prompt|instructions?)|"
       "(?:hidden|secret|internal|confidential) (?:instructions?|prompt|rules)|developer "
       "message)\\b"});
  all.push_back({"prompt_leak",
                 Confidence::kHigh,
                 {"reveal", "repeat", "print", "leak", "disclose"},
                 "\\w+ your (?:instructions|prompt|system prompt|guidelines)\\b"});
  all.push_back(
      {"concealment",
       Confidence::kHigh,
       {"do not", "don't", "never", "without", "must not", "you should not"},
       "(?:do not|don't|never|without|must not|you should not) (?:ever )?"
       "(?:tell|inform|mention|telling|informing|notify|notifying|alert|alerting|reveal|show|let|"
       "warn|"
       "mentioning|disclose)(?: (?:this|it|that|any of this|anything))?(?: (?:to|about))?(?: this)?"
       "(?: to)? the (?:user|human|operator|end user)\\b"});
  all.push_back(
      {"exfiltration",
       Confidence::kMedium,
       {"send", "forward", "email", "upload", "transmit", "exfiltrate", "post", "leak"},
       "\\w+ (?:me )?(?:all |the |any |your |of |every |user's |users' |their |his |her |my "
       "|stored ){0,4}"
       "(?:passwords?|credentials|api keys?|secrets?|access tokens?|private keys?|chat history|"
       "conversation(?: history)?|system prompt|security codes?|verification codes?|2fa codes?|"
       "environment variables|browsing history|contacts?|session cookies?)\\b.{0,60}\\bto\\b.{0,10}"
       "(?:[\\w.+-]+@[\\w-]+|https?:|www\\.|this (?:address|url|email|link)|the following)"});
  all.push_back(
      {"markdown_exfil",
       Confidence::kMedium,
       {"!["},
       "!\\[[^\\]]{0,60}\\]\\(https?://[^)\\s]{1,100}[?&][\\w-]{1,20}=(?:\\{|%7B|\\[|<|\\$|"
       "(?:DATA|SECRET|BASE64|HISTORY|PROMPT)\\b)"});
}

void AddMarkup(std::vector<Phrase>& all) {
  all.push_back(
      {"chat_markup",
       Confidence::kHigh,
       {"<|"},
       "<\\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|begin_of_text|end_of_text|"
       "start_header_id|end_header_id|eot_id|tool_call|channel|message)\\|>"});
  all.push_back({"chat_markup",
                 Confidence::kHigh,
                 {"[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<start_of_turn>"},
                 "\\[/?INST\\]|<</?SYS>>|<start_of_turn>(?:user|model|system)"});
  all.push_back(
      {"chat_markup",
       Confidence::kMedium,
       {"<system>", "</system>", "<system_prompt>", "</system_prompt>", "<system-reminder>",
        "<information>", "</tool_result>", "</function_results>", "</tool_response>", "[system]",
        "### system", "### instruction", "<instructions>", "begin system prompt"},
       "</"
       "?(?:system|system_prompt|system-reminder|information|instructions|tool_result|function_"
       "results|"
       "tool_response)>|\\[system\\]|### (?:system|instructions?) ?:|begin system prompt"});
}

const std::vector<Phrase>& Phrases() {
  static const std::vector<Phrase> phrases = [] {
    std::vector<Phrase> all;
    AddOverrides(all);
    AddTakeovers(all);
    AddTheft(all);
    AddMarkup(all);
    return all;
  }();
  return phrases;
}

// Text may be no UTF-8, so expressions match bytes.
std::unique_ptr<re2::RE2> Compile(const std::string& expression) {
  std::string spaced;
  bool in_set = false;
  for (std::size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i];
    if (c == '[') in_set = true;
    if (c == ']') in_set = false;
    if (c != ' ' || in_set) {
      spaced += c;
    } else if (i + 1 < expression.size() && expression[i + 1] == '?') {
      spaced += "\\s*";
      ++i;
    } else {
      spaced += "\\s+";
    }
  }
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_encoding(re2::RE2::Options::EncodingLatin1);
  options.set_case_sensitive(false);
  options.set_dot_nl(true);
  options.set_max_mem(kMemoryMax);
  auto compiled = std::make_unique<re2::RE2>(spaced, options);
  INTERLOCK_CHECK(compiled->ok());
  return compiled;
}

}  // namespace

PhraseDetector::PhraseDetector(Literals& literals, int first_id) : first_id_(first_id) {
  const std::vector<Phrase>& phrases = Phrases();
  for (std::size_t i = 0; i < phrases.size(); ++i) {
    expressions_.push_back(Compile(phrases[i].expression));
    for (const std::string_view begin : phrases[i].begins) {
      if (begin.size() >= 3) {
        literals.Add(begin, LetterCase::kAny, first_id_ + ids());
        phrase_of_.push_back(i);
        continue;
      }
      // Two bytes and whatever printable one follows.
      for (int third = 0x21; third < 0x7F; ++third) {
        if (third >= 'A' && third <= 'Z') continue;
        literals.Add(std::string(begin) + static_cast<char>(third), LetterCase::kAny,
                     first_id_ + ids());
        phrase_of_.push_back(i);
      }
    }
  }
}

PhraseDetector::~PhraseDetector() = default;

void PhraseDetector::Found(Scan& scan, int id, std::size_t at) const {
  scan.Work(8);
  if (IsAlpha(scan.At(at)) && !scan.WordBegins(at)) return;
  const std::size_t index = phrase_of_[static_cast<std::size_t>(id - first_id_)];
  const Phrase& phrase = Phrases()[index];
  const std::string_view window = scan.text().substr(at, kWindow);
  re2::StringPiece match;
  const bool found = expressions_[index]->Match(re2::StringPiece(window.data(), window.size()), 0,
                                                window.size(), re2::RE2::ANCHOR_START, &match, 1);
  if (found && !match.empty()) scan.Add(phrase.kind, phrase.confidence, at, at + match.size());
}

}  // namespace interlock::policies::detect
