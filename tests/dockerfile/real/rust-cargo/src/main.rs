fn main() { println!("hi") }
