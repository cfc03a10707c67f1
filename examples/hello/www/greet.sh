#!/bin/sh
echo "${GREETING:-hello}, world"
