# expect: OUTPUT_LIMIT
# limits: output=1
while True:
    print("flood")
