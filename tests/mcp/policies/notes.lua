--- Notes are kept, never lost.
policy "notes" { version = "1", owner = "tests", tools = { "*" }, default = "deny" }

on({ "notes.append", "notes.count", "grown.*", "unlicensed.*", "remote.*", "stranger.*" }, "go", function(c) return allow() end)
on({ "notes.forget" }, "keep", function(c) return deny { code = "KEEP", say = "Notes are never lost." } end)
