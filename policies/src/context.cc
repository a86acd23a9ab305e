#include "context.h"

#include "core/check.h"
#include "core/template.h"
#include "selector.h"

namespace interlock::policies {
namespace {

constexpr char kPlainMetatable = 0;
constexpr std::size_t kPoolMax = 64;  // cached nodes kept from one decision to the next

struct NodeUserdata {
  UserdataHead head;
  int node;  // a plain node's index in nodes_
  int pool;  // a cached node's entry in the pool, else -1
  Context* context;
};

const core::Json kEmptyObject = core::Json::object();

std::string KeyText(lua_State* lua, int key) {
  if (lua_isinteger(lua, key) != 0) return std::to_string(lua_tointeger(lua, key));
  if (lua_type(lua, key) == LUA_TSTRING) return lua_tostring(lua, key);
  return luaL_typename(lua, key);
}

// The properties that a schema lists, or nullptr.
const core::Json* PropertiesOf(const core::Json* schema) {
  if (schema == nullptr || !schema->is_object()) return nullptr;
  const auto found = schema->find("properties");
  return found != schema->end() && found->is_object() ? &*found : nullptr;
}

const core::Json* ChildSchema(const core::Json* schema, std::string_view key) {
  const core::Json* properties = PropertiesOf(schema);
  if (properties == nullptr) return nullptr;
  const auto found = properties->find(std::string(key));
  return found == properties->end() ? nullptr : &*found;
}

bool IsClosed(const core::Json& schema) {
  const auto more = schema.find("additionalProperties");
  return more != schema.end() && more->is_boolean() && !more->get<bool>() &&
         !schema.contains("patternProperties");
}

void PushText(lua_State* lua, std::string_view text) {
  lua_pushlstring(lua, text.data(), text.size());
}

}  // namespace

Context::Context(Vm& vm) : vm_(vm) {}

void Context::Create(lua_State* lua) {
  lua_createtable(lua, 0, 6);
  constexpr luaL_Reg kMethods[] = {{"__index", IndexPlain},
                                   {"__newindex", RefuseWrite},
                                   {"__len", Length},
                                   {"__eq", Equal},
                                   {nullptr, nullptr}};
  luaL_setfuncs(lua, kMethods, 0);
  lua_pushboolean(lua, 0);
  lua_setfield(lua, -2, "__metatable");
  lua_rawsetp(lua, LUA_REGISTRYINDEX, &kPlainMetatable);
  PushNode(lua, Node{.shape = Shape::kRoot, .cached = true});
  lua_pop(lua, 1);
}

void Context::Begin(const DecisionInput& input, const core::Json* args_schema) {
  input_ = &input;
  args_schema_ = args_schema;
  roles_ = nullptr;
  user_ = nullptr;
}

// Forgets everything of this decision. Setting a present key to nil while walking is allowed and
// makes no allocation, so none of this can raise.
void Context::End() {
  lua_State* lua = vm_.lua();
  for (std::size_t i = 0; i < cached_used_; ++i) {
    lua_rawgeti(lua, LUA_REGISTRYINDEX, cached_[i].backing);
    lua_pushnil(lua);
    while (lua_next(lua, -2) != 0) {
      lua_pop(lua, 1);
      lua_pushvalue(lua, -1);
      lua_pushnil(lua);
      lua_rawset(lua, -4);
    }
    lua_pop(lua, 1);
  }
  while (cached_.size() > kPoolMax) {
    luaL_unref(lua, LUA_REGISTRYINDEX, cached_.back().userdata);
    luaL_unref(lua, LUA_REGISTRYINDEX, cached_.back().backing);
    cached_.pop_back();
  }
  cached_used_ = 1;
  cached_nodes_.resize(1);
  nodes_.resize(1);
  input_ = nullptr;
}

void Context::PushRoot(lua_State* lua) const {
  lua_rawgeti(lua, LUA_REGISTRYINDEX, cached_[0].userdata);
}

bool Context::IsNode(lua_State* lua, int index) {
  return UserdataOf<NodeUserdata>(lua, index, Kind::kNode) != nullptr;
}

Context& Context::ContextOf(lua_State* lua, int index) {
  return *static_cast<NodeUserdata*>(lua_touserdata(lua, index))->context;
}

int Context::NodeIndexAt(lua_State* lua, int index) {
  const auto* userdata = UserdataOf<NodeUserdata>(lua, index, Kind::kNode);
  if (userdata == nullptr) {
    Raise(lua, std::string("a part of the context such as c.args is wanted, not ") +
                   luaL_typename(lua, index));
  }
  if (userdata->context->input_ == nullptr) Raise(lua, "there is no call to read from here");
  if (userdata->pool < 0) return userdata->node;
  return userdata->context->cached_nodes_[static_cast<std::size_t>(userdata->pool)];
}

const core::Json* Context::JsonAt(lua_State* lua, int index) {
  if (!IsNode(lua, index)) return nullptr;
  const Node& node = ContextOf(lua, index).nodes_[NodeIndexAt(lua, index)];
  return node.shape == Shape::kJson ? node.value : nullptr;
}

std::string Context::PathOf(int node) const {
  const Node& at = nodes_[node];
  if (at.parent < 0) return "c";
  const std::string above = PathOf(at.parent);
  if (at.index > 0) return above + "[" + std::to_string(at.index) + "]";
  return above + "." + std::string(at.key);
}

// A cached node is a userdata whose `__index` is a table that fills itself on first use.
void Context::MakeCached(lua_State* lua, int pool) {
  auto* userdata = static_cast<NodeUserdata*>(lua_newuserdatauv(lua, sizeof(NodeUserdata), 0));
  *userdata = {.head = {Kind::kNode}, .node = -1, .pool = pool, .context = this};
  lua_createtable(lua, 0, 5);  // userdata, metatable
  constexpr luaL_Reg kMethods[] = {
      {"__newindex", RefuseWrite}, {"__len", Length}, {"__eq", Equal}, {nullptr, nullptr}};
  luaL_setfuncs(lua, kMethods, 0);
  lua_pushboolean(lua, 0);
  lua_setfield(lua, -2, "__metatable");
  lua_createtable(lua, 0, 4);  // userdata, metatable, backing
  lua_createtable(lua, 0, 1);
  lua_pushvalue(lua, -4);
  lua_pushcclosure(lua, &Context::IndexCached, 1);
  lua_setfield(lua, -2, "__index");
  lua_setmetatable(lua, -2);
  lua_pushvalue(lua, -1);
  CachedRefs refs;
  refs.backing = luaL_ref(lua, LUA_REGISTRYINDEX);
  lua_setfield(lua, -2, "__index");
  lua_setmetatable(lua, -2);
  lua_pushvalue(lua, -1);
  refs.userdata = luaL_ref(lua, LUA_REGISTRYINDEX);
  cached_.push_back(refs);
}

void Context::PushNode(lua_State* lua, const Node& node) {
  const int index = static_cast<int>(nodes_.size());
  if (!node.cached) {
    auto* userdata = static_cast<NodeUserdata*>(lua_newuserdatauv(lua, sizeof(NodeUserdata), 0));
    *userdata = {.head = {Kind::kNode}, .node = index, .pool = -1, .context = this};
    lua_rawgetp(lua, LUA_REGISTRYINDEX, &kPlainMetatable);
    lua_setmetatable(lua, -2);
    nodes_.push_back(node);
    return;
  }
  if (cached_used_ < cached_.size()) {
    lua_rawgeti(lua, LUA_REGISTRYINDEX, cached_[cached_used_].userdata);
  } else {
    MakeCached(lua, static_cast<int>(cached_used_));
  }
  ++cached_used_;
  nodes_.push_back(node);
  cached_nodes_.push_back(index);
}

bool Context::PushValue(lua_State* lua, const Node& node) {
  const core::Json& value = *node.value;
  switch (value.type()) {
    case core::Json::value_t::null:
      return false;
    case core::Json::value_t::boolean:
      lua_pushboolean(lua, value.get<bool>());
      return true;
    case core::Json::value_t::number_integer:
    case core::Json::value_t::number_unsigned:
      lua_pushinteger(lua, value.get<std::int64_t>());
      return true;
    case core::Json::value_t::number_float:
      lua_pushnumber(lua, value.get<double>());
      return true;
    case core::Json::value_t::string:
      PushText(lua, value.get_ref<const std::string&>());
      return true;
    default:
      PushNode(lua, node);
      return true;
  }
}

const Fact* Context::FindFact(std::string_view name) const {
  if (input_->facts == nullptr) return nullptr;
  for (const Fact& fact : *input_->facts) {
    if (fact.name == name) return &fact;
  }
  return nullptr;
}

bool Context::TryPushRoot(lua_State* lua, int node, std::string_view key) {
  const auto push_json = [&](const core::Json* value, const core::Json* schema,
                             std::string_view name) {
    PushNode(lua, Node{.value = value == nullptr || value->is_null() ? &kEmptyObject : value,
                       .schema = schema,
                       .parent = node,
                       .key = name,
                       .cached = true});
    return true;
  };
  const auto push_shape = [&](Shape shape, std::string_view name) {
    PushNode(lua, Node{.shape = shape, .parent = node, .key = name, .cached = true});
    return true;
  };
  if (key == "args") return push_json(input_->args, args_schema_, "args");
  if (key == "session") return push_json(input_->session, nullptr, "session");
  if (key == "facts") return push_shape(Shape::kFacts, "facts");
  if (key == "call") return push_shape(Shape::kCall, "call");
  if (key == "principal") return push_shape(Shape::kPrincipal, "principal");
  if (key == "flow") return push_shape(Shape::kFlow, "flow");
  if (key == "now") return lua_pushinteger(lua, input_->now_us), true;
  if (key == "tenant") return PushText(lua, input_->tenant), true;
  if (key == "message" || key == "result" || key == "answer") {
    if (key != RulePhaseName(input_->phase)) {
      Raise(lua, "there is no " + std::string(key) + " in a rule about " +
                     std::string(RulePhaseName(input_->phase)) + "s");
    }
    if (input_->content == nullptr) return false;
    return PushValue(lua, Node{.value = input_->content,
                               .parent = node,
                               .key = RulePhaseName(input_->phase),
                               .cached = input_->content->is_object()});
  }
  if (key == "user") return !input_->user.empty() && (PushText(lua, input_->user), true);
  Raise(lua, "the context has no field `" + std::string(key) + "`" +
                 DidYouMean(key, {"args", "session", "facts", "call", "principal", "flow", "now",
                                  "tenant", "user", "message", "result", "answer"}));
}

bool Context::TryPushFact(lua_State* lua, int node, std::string_view key) {
  const Fact* fact = FindFact(key);
  if (fact == nullptr) {
    Raise(lua, "no fact `" + std::string(key) + "` was declared for this tool; write fact \"" +
                   std::string(key) + "\" { tool = …, args = … }");
  }
  if (!fact->present) return false;
  return PushValue(lua, Node{.value = &fact->value,
                             .parent = node,
                             .key = fact->name,
                             .cached = fact->value.is_object()});
}

bool Context::TryPushCall(lua_State* lua, std::string_view key) {
  const Call& call = input_->call;
  if (key == "step") return lua_pushinteger(lua, call.step), true;
  if (key == "depth") return lua_pushinteger(lua, call.depth), true;
  for (const auto& [name, value] :
       {std::pair<std::string_view, std::string_view>{"tool", call.tool},
        {"effect", call.effect},
        {"id", call.id},
        {"run", call.run},
        {"agent", call.agent},
        {"compensates", call.compensates},
        {"caller", call.caller}}) {
    if (key == name) return !value.empty() && (PushText(lua, value), true);
  }
  Raise(lua,
        "c.call has the fields tool, effect, id, run, agent, step, compensates, caller and depth, "
        "not `" +
            std::string(key) + "`");
}

bool Context::TryPushPrincipal(lua_State* lua, int node, std::string_view key) {
  if (key == "id") return !input_->principal.empty() && (PushText(lua, input_->principal), true);
  if (key != "roles") {
    Raise(lua, "c.principal has the fields id and roles, not `" + std::string(key) + "`");
  }
  if (roles_.is_null()) {
    roles_ = core::Json::array();
    if (input_->principal_roles != nullptr) roles_ = *input_->principal_roles;
  }
  PushNode(lua, Node{.value = &roles_, .parent = node, .key = "roles", .cached = true});
  return true;
}

// A name that the schema does not allow is a slip of the author's pen, not an argument left out.
void Context::CheckKnown(lua_State* lua, const Node& node, int index, std::string_view key) const {
  const core::Json* properties = PropertiesOf(node.schema);
  if (properties == nullptr || !IsClosed(*node.schema) || properties->contains(std::string(key))) {
    return;
  }
  std::vector<std::string> names;
  for (const auto& item : properties->items()) names.push_back(item.key());
  Raise(lua, "`" + std::string(key) + "` is no field of `" + PathOf(index) +
                 "` by the tool's schema" + DidYouMean(key, names));
}

bool Context::TryPushJson(lua_State* lua, int node_index, int key) {
  const Node node = nodes_[node_index];
  if (node.value->is_array()) {
    if (lua_isinteger(lua, key) == 0) {
      Raise(lua,
            "`" + PathOf(node_index) + "` is a list; it has no field `" + KeyText(lua, key) + "`");
    }
    const std::int64_t at = lua_tointeger(lua, key);
    if (at < 1 || at > static_cast<std::int64_t>(node.value->size())) return false;
    const core::Json* items = nullptr;
    if (node.schema != nullptr && node.schema->is_object() && node.schema->contains("items")) {
      items = &node.schema->at("items");
    }
    return PushValue(lua, Node{.value = &(*node.value)[static_cast<std::size_t>(at - 1)],
                               .schema = items,
                               .parent = node_index,
                               .index = at});
  }
  if (lua_type(lua, key) != LUA_TSTRING) {
    Raise(lua,
          "`" + PathOf(node_index) + "` has named fields; `" + KeyText(lua, key) + "` is no name");
  }
  std::size_t size = 0;
  const char* text = lua_tolstring(lua, key, &size);
  const std::string name(text, size);
  const auto found = node.value->find(name);
  if (found == node.value->end()) {
    CheckKnown(lua, node, node_index, name);
    return false;
  }
  // The key's text lives in the input's JSON, as long as the decision.
  return PushValue(lua, Node{.value = &*found,
                             .schema = ChildSchema(node.schema, name),
                             .parent = node_index,
                             .key = found.key(),
                             .cached = node.cached});
}

bool Context::TryPush(lua_State* lua, int node_index, int key) {
  const Node& node = nodes_[node_index];
  if (node.shape == Shape::kJson) return TryPushJson(lua, node_index, key);
  const std::string_view name = CheckText(lua, key, "a field of the context");
  switch (node.shape) {
    case Shape::kRoot:
      return TryPushRoot(lua, node_index, name);
    case Shape::kFacts:
      return TryPushFact(lua, node_index, name);
    case Shape::kCall:
      return TryPushCall(lua, name);
    case Shape::kPrincipal:
      return TryPushPrincipal(lua, node_index, name);
    default:
      break;
  }
  if (name != "untrusted")
    Raise(lua, "c.flow has the field untrusted, not `" + std::string(name) + "`");
  lua_pushboolean(lua, input_->flow_untrusted);
  return true;
}

void Context::RaiseAbsent(lua_State* lua, int node_index, int key) const {
  const Node& node = nodes_[node_index];
  const std::string name = KeyText(lua, key);
  if (node.shape == Shape::kFacts) {
    const Fact* fact = FindFact(name);
    Raise(lua, "fact `" + name + "` is absent: its look-up answered " +
                   (fact->error_code.empty() ? "nothing" : fact->error_code) +
                   "; ask present(c.facts, \"" + name + "\") first");
  }
  const std::string path = PathOf(node_index);
  if (node.shape == Shape::kJson && node.value->is_array()) {
    Raise(lua, "`" + path + "` has " + std::to_string(node.value->size()) +
                   " elements, no number " + name);
  }
  Raise(lua, "`" + path + "." + name + "` is absent; ask present(" + path + ", \"" + name +
                 "\") first or write get(" + path + ", \"" + name + "\", default)");
}

// Upvalue 1 is the node; argument 1 its backing table, which keeps the value.
int Context::IndexCached(lua_State* lua) {
  const int node = NodeIndexAt(lua, lua_upvalueindex(1));
  Context& context = ContextOf(lua, lua_upvalueindex(1));
  if (!context.TryPush(lua, node, 2)) context.RaiseAbsent(lua, node, 2);
  lua_pushvalue(lua, 2);
  lua_pushvalue(lua, -2);
  lua_rawset(lua, 1);
  return 1;
}

int Context::IndexPlain(lua_State* lua) {
  const int node = NodeIndexAt(lua, 1);
  Context& context = ContextOf(lua, 1);
  if (!context.TryPush(lua, node, 2)) context.RaiseAbsent(lua, node, 2);
  return 1;
}

int Context::Length(lua_State* lua) {
  const int node = NodeIndexAt(lua, 1);
  const Context& context = ContextOf(lua, 1);
  const Node& at = context.nodes_[node];
  if (at.shape != Shape::kJson || !at.value->is_array()) {
    Raise(lua, "`" + context.PathOf(node) + "` is no list; it has no length");
  }
  lua_pushinteger(lua, static_cast<lua_Integer>(at.value->size()));
  return 1;
}

int Context::Equal(lua_State* lua) {
  const core::Json* a = JsonAt(lua, 1);
  const core::Json* b = JsonAt(lua, 2);
  if (a == nullptr || b == nullptr) Raise(lua, "these two cannot be compared");
  Vm::Of(lua).Charge(static_cast<std::int64_t>(a->size()));
  lua_pushboolean(lua, *a == *b);
  return 1;
}

int Context::RefuseWrite(lua_State* lua) { Raise(lua, "the context is read-only"); }

void Context::PushMember(lua_State* lua, int index, int key) {
  const int node = NodeIndexAt(lua, index);
  Context& context = ContextOf(lua, index);
  if (!context.TryPush(lua, node, key)) context.RaiseAbsent(lua, node, key);
}

void Context::PushKeys(lua_State* lua, int index) {
  const core::Json* value = JsonAt(lua, index);
  if (value == nullptr || !value->is_object()) Raise(lua, "only objects have named fields");
  Vm::Of(lua).Charge(static_cast<std::int64_t>(value->size()));
  lua_createtable(lua, static_cast<int>(value->size()), 0);
  lua_Integer at = 0;
  for (const auto& item : value->items()) {
    if (item.value().is_null()) continue;  // null is absent
    PushText(lua, item.key());
    lua_rawseti(lua, -2, ++at);
  }
}

// Follows a dotted path; a key that exists as it stands wins. Pushes the value or says false.
bool Context::TryPushPath(lua_State* lua, int node_index, int key_index) {
  const bool is_text = lua_type(lua, key_index) == LUA_TSTRING;
  const std::string path = is_text ? lua_tostring(lua, key_index) : "";
  const std::size_t dot = path.find('.');
  const Node& node = nodes_[node_index];
  const bool stands =
      node.shape == Shape::kJson && node.value->is_object() && node.value->contains(path);
  if (dot == std::string::npos || stands) return TryPush(lua, node_index, key_index);
  PushText(lua, std::string_view(path).substr(0, dot));
  if (!TryPush(lua, node_index, lua_gettop(lua)) || !IsNode(lua, -1)) return false;
  PushText(lua, std::string_view(path).substr(dot + 1));
  return TryPushPath(lua, NodeIndexAt(lua, -2), lua_gettop(lua));
}

int Context::Present(lua_State* lua) {
  const int node = NodeIndexAt(lua, 1);
  Context& context = ContextOf(lua, 1);
  Vm::Of(lua).Charge(1);
  luaL_checkstack(lua, 96, "the path is too deep");
  lua_pushboolean(lua, context.TryPushPath(lua, node, 2));
  return 1;
}

int Context::Get(lua_State* lua) {
  const int node = NodeIndexAt(lua, 1);
  Context& context = ContextOf(lua, 1);
  if (lua_gettop(lua) != 3) Raise(lua, "write get(c.args, \"field\", default)");
  Vm::Of(lua).Charge(1);
  luaL_checkstack(lua, 96, "the path is too deep");
  if (!context.TryPushPath(lua, node, 2)) lua_pushvalue(lua, 3);
  return 1;
}

// "args.items.2" of a node and, if there is one, the field at `key_index`.
std::string Context::LabelPath(lua_State* lua, int index, int key_index) {
  const int node = NodeIndexAt(lua, index);
  const Context& context = ContextOf(lua, index);
  std::string path;
  for (int at = node; at > 0; at = context.nodes_[at].parent) {
    const Node& one = context.nodes_[at];
    const std::string name = one.index > 0 ? std::to_string(one.index) : std::string(one.key);
    path = path.empty() ? name : name + "." + path;
  }
  if (lua_isnoneornil(lua, key_index)) return path;
  const std::string field = KeyText(lua, key_index);
  return path.empty() ? field : path + "." + field;
}

int Context::FactError(lua_State* lua) {
  const int node = NodeIndexAt(lua, 1);
  const Context& context = ContextOf(lua, 1);
  if (context.nodes_[node].shape != Shape::kFacts)
    Raise(lua, "write fact_error(c.facts, \"name\")");
  const std::string_view name = CheckText(lua, 2, "the name of a fact");
  const Fact* fact = context.FindFact(name);
  if (fact == nullptr) Raise(lua, "no fact `" + std::string(name) + "` was declared for this tool");
  if (fact->present) {
    lua_pushnil(lua);
  } else {
    PushText(lua, fact->error_code.empty() ? "UNKNOWN" : std::string_view(fact->error_code));
  }
  return 1;
}

const core::Json* Context::AtPath(std::string_view path) {
  if (path == "user") {
    user_ = std::string(input_->user);
    return input_->user.empty() ? nullptr : &user_;
  }
  const std::size_t dot = path.find('.');
  const std::string_view root = path.substr(0, dot);
  const std::string_view rest = dot == std::string_view::npos ? "" : path.substr(dot + 1);
  const core::Json* value = nullptr;
  if (root == "args") value = input_->args;
  if (root == "session") value = input_->session;
  if (root != "facts") {
    if (value == nullptr || rest.empty()) return value;
    value = core::FindPath(*value, rest);
  } else {
    const std::size_t next = rest.find('.');
    const Fact* fact = FindFact(rest.substr(0, next));
    if (fact == nullptr || !fact->present) return nullptr;
    value = next == std::string_view::npos ? &fact->value
                                           : core::FindPath(fact->value, rest.substr(next + 1));
  }
  return value == nullptr || value->is_null() ? nullptr : value;
}

}  // namespace interlock::policies
