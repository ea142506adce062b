;; An interface with plain types, and its documentation in a section.
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "greet") (param i32 i32 i32 i32) (result i32) i32.const 0)
    (func (export "sum") (param i32 i32) (result i64) i64.const 0))
  (core instance $i (instantiate $m))
  (func $greet (param "name" string) (param "times" (option u32)) (result (result string (error string)))
    (canon lift (core func $i "greet") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
  (func $sum (param "numbers" (list (tuple s8 f32))) (result s64)
    (canon lift (core func $i "sum") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
  (instance $api (export "greet" (func $greet)) (export "sum-all" (func $sum)))
  (export "seed:plain/api@1.0.0" (instance $api))
  (@custom "cloister:wit" "package seed:plain@1.0.0;\ninterface api {\n  /// Says hello.\n  /// @readonly\n  /// @min-length name 1\n  /// @default times 2\n  greet: func(name: string, times: option<u32>) -> result<string, string>;\n  /// @name total\n  /// @param numbers as parts What to add.\n  /// @max-items numbers 9\n  sum-all: func(numbers: list<tuple<s8, f32>>) -> s64;\n}\nworld w { export api; }\n")
)
