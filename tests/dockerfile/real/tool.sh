#!/bin/sh
# Every package manager and compiler of the Dockerfiles here: what it makes is decided by its arguments and by the files
# that it is given, and lies where the real one would put it.
set -e

name=${0##*/}
all="$name $*"

# The value of an option: `-o x`, `-o=x`.
option() {
    wanted=$1
    shift
    while [ $# -gt 0 ]; do
        case $1 in
            "$wanted") echo "$2"; return ;;
            "$wanted"=*) echo "${1#*=}"; return ;;
        esac
        shift
    done
}

# A file of everything that the sources in the working directory say. It gets its name last, else a `.js` would be read
# while it is written, and have no end.
made() {
    mkdir -p "${1%/*}"
    { echo "made by $all"; find . -type f \( -name '*.go' -o -name '*.rs' -o -name '*.java' -o -name '*.cs' -o -name '*.cpp' -o -name '*.js' \
        -o -name '*.ex' -o -name '*.md' \) | sort | while read -r file; do echo "$file"; cat "$file"; done; } > "$1.new"
    chmod 0755 "$1.new"
    mv "$1.new" "$1"
}

account() {
    file=$1 id=$2 new=$3 rest=$4
    grep -q "^$new:" "$file" || echo "$new:x:$id:$rest" >> "$file"
}

last() {
    for word; do :; done
    echo "$word"
}

case $name in
    apt-get | apk)
        [ "$1" != update ] || { mkdir -p /var/lib/apt/lists; echo lists > /var/lib/apt/lists/all; exit 0; }
        for word; do
            case $word in -* | install | add | del) ;; *) mkdir -p /usr/share/packages; echo "$name" > "/usr/share/packages/$word" ;; esac
        done ;;
    pip)
        into=$(option --target "$@"); wheels=$(option --wheel-dir "$@")
        if [ -n "$wheels" ]; then mkdir -p "$wheels"; echo wheel > "$wheels/shop-1-py3-none-any.whl"
        else made "${into:-/usr/local/lib/python3.12/site-packages}/$1.txt"; fi ;;
    poetry) made /opt/venv/lib/poetry.txt ;;
    python)
        if [ "$2" = venv ]; then mkdir -p "$3/bin"; ln -s /usr/local/bin/python "$3/bin/python"
        else made static/all.css; fi ;;
    npm | yarn)
        case $1 in
            ci | install) mkdir -p node_modules/.bin node_modules/dep; echo dep > node_modules/dep/index.js; ln -s ../dep/index.js node_modules/.bin/dep ;;
            *) made dist/index.js; made .next/standalone/server.js; made .next/static/chunk.js ;;
        esac ;;
    go) [ "$1" != build ] || made "$(option -o "$@")" ;;
    cargo) made target/release/app ;;
    mvn) [ "$2" = dependency:go-offline ] || made target/app-1.0.jar ;;
    cmake) echo "from $1" > Makefile ;;
    make) into=$(option DESTDIR "$@"); made "$into/usr/local/bin/tool" ;;
    composer) mkdir -p vendor; echo '<?php' > vendor/autoload.php ;;
    bundle) [ "$1" != install ] || made /usr/local/bundle/ruby/gem.txt ;;
    docker-php-ext-install | a2enmod) mkdir -p /etc/enabled; echo "$name" > "/etc/enabled/$1" ;;
    hugo) made "$(option --destination "$@")/index.html" ;;
    dotnet) [ "$1" = restore ] || made "$(option -o "$@")/shop.dll" ;;
    mix) [ "$1" != release ] || made _build/prod/rel/shop/bin/server ;;
    groupadd | addgroup) account /etc/group "$(option --gid "$@")" "$(last "$@")" "" ;;
    useradd | adduser)
        new=$(last "$@")
        for word; do case $word in -*) ;; rails | app | spring | django) new=$word ;; esac; done
        id=$(option --uid "$@"); id=${id:-$(option -u "$@")}; id=${id:-1000}
        account /etc/group "$id" "$new" ""
        account /etc/passwd "$id" "$new" "$id::/home/$new:/bin/sh"
        mkdir -p "/home/$new" && chown "$id:$id" "/home/$new" ;;
    *) echo "nobody knows $name" >&2; exit 127 ;;
esac
